# The numbers of a run's histories are written as Python writes them: compared with Python itself on
# all powers of two, their neighbours, and random doubles of every size.
load ../helpers

@test "text_python_repr agrees with Python's repr" {
    cat >compare.py <<'END'
import random
import struct
import subprocess
import sys


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def double(number):
    return struct.unpack("<d", struct.pack("<Q", number))[0]


random.seed(1)
powers = [bits(2.0**e) for e in range(-1074, 1024)]
numbers = powers + [p - 1 for p in powers] + [p + 1 for p in powers]
numbers += [random.getrandbits(64) for _ in range(5000)]
numbers += [bits(random.random()) for _ in range(5000)]
numbers += [bits(random.random() * 10 ** random.randint(-8, 20)) for _ in range(5000)]
numbers += [bits(round(random.random(), 3)) for _ in range(1000)]
numbers += [bits(float(random.randint(0, 10**18))) for _ in range(1000)]
lines = "".join(f"{n:x}\n" for n in numbers)
out = subprocess.run([sys.argv[1], "--repr"], input=lines, capture_output=True, text=True, check=True)
texts = out.stdout.split()
wrong = [(repr(double(n)), t) for n, t in zip(numbers, texts) if repr(double(n)) != t]
print(len(numbers), "numbers,", len(wrong), "wrong", wrong[:5])
sys.exit(len(texts) != len(numbers) or bool(wrong))
END
    python3 compare.py "$DROVER_BINARY_DIR/tests/test_text"
}
