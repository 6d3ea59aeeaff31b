"""The networks as Keras models. They compute with TensorFlow, channels last, whatever else Keras can be set to."""

try:
    import keras
except ImportError as error:  # the backend that is set is not there
    raise ImportError(f"models: Keras cannot start ({error}); set KERAS_BACKEND=tensorflow") from error

for _found, _expected, _how in (
        (keras.config.backend(), "tensorflow", "set KERAS_BACKEND=tensorflow before Keras is imported"),
        (keras.config.image_data_format(), "channels_last", "call keras.config.set_image_data_format")):
    if _found != _expected:
        raise ImportError(f"models: found Keras set to {_found} by the environment or keras.json, expected "
                          f"{_expected}; {_how}")
