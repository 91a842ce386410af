mod exposition;
