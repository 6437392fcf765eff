"""The tests mirror the modules; beside them stand the promises."""
