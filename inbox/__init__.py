"""What is kept, and what moves it: intake, replies, delivery, media, work. Names no provider."""
