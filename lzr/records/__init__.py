"""Result records: fields, encoders, filters, the summary, and what a file holds already."""
