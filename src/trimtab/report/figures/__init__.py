"""The figures of the report, each a plotly figure without theme: the page that shows them supplies the colours."""
