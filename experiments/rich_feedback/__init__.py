"""Rich feedback: predictors trained on it, and what they are used for besides scoring."""
