"""The JSON that crosses the door, as declared types, a file for each tag. OpenAPI is made from them."""
