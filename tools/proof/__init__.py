"""The proof: the tests that show a promise are run, their figures are held against the bars, and one page says it all."""
