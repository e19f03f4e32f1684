"""Everything that imports IPython, traitlets, ipywidgets or anywidget."""
