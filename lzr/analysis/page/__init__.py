"""A report as one HTML page that needs nothing else: its parts as values, drawn as SVG or for plotly.js."""
