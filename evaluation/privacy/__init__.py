"""How private a synthetic set is: planted copies, membership inference, name boxes."""
