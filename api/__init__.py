"""REST, thin: parse, authorise, call one function, answer. Start reading at `routes.py`."""
