"""Language models as judges: rubrics, what a judge is asked, and how its hostile answer is read."""
