"""The networks of finished runs put together as a method."""
