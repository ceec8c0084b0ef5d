"""What callers give: values, moments and lengths of time, each checked, with errors that name what was found."""
