def main() -> None:
    print("santral")
