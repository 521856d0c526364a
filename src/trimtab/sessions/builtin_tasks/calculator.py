import math

history = []
variables = {"pi": math.pi, "e": math.e}


def calculate(expression):
    try:
        result = eval(expression, globals(), variables)
    except:
        return "error"
    history.append(expression + " = " + str(result))
    return result


def show_history():
    text = ""
    for i in range(len(history)):
        text = text + str(i + 1) + ": " + history[i] + "\n"
    return text


def main():
    print("calculator - type quit to leave, history to see what was computed")
    while True:
        line = input("> ")
        if line == "quit":
            break
        if line == "history":
            print(show_history())
            continue
        if "=" in line:
            name, expression = line.split("=")
            variables[name.strip()] = calculate(expression)
            continue
        print(calculate(line))


if __name__ == "__main__":
    main()
