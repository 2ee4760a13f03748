"""Clean public-domain books into training text.

    python -m freshet_training.books BOOKS OUT      BOOKS: books.tar.xz or a directory of .txt files

Writes OUT/NAME.train.txt and OUT/NAME.heldout.txt. A file is a list of documents (chapters, or tales) that end with a
line of the end-of-text mark; paragraphs are single lines with an empty line between them. The last documents of a book,
at least HELD_OUT of its characters, are held out; so are the books of UNSEEN as wholes.
"""
import argparse
import re
import tarfile
from pathlib import Path

END = "<|endoftext|>"
HELD_OUT = 0.03

# Narrative prose. The rank says how simple the prose is and how much weight a book gets in the mix of a demo model.
# Left out of the archive: verse and verse-like prose (iliad, odyssey), treatises (meditations, republic, walden), dialect
# (huckleberry_finn), essays within the story (moby_dick, middlemarch, tom_jones, don_quixote, heart_of_darkness, legend_of_sleepy_hollow),
# and room_with_view, whose author died in 1970, so that it is not free of copyright everywhere.
SIMPLE = ("grimms_fairy_tales", "wonderful_wizard_of_oz", "alice_in_wonderland", "anne_of_green_gables", "little_women",
          "tom_sawyer", "blue_castle", "christmas_carol")
PLAIN = ("sherlock_holmes", "study_in_scarlet", "jane_eyre", "great_expectations", "dracula", "pride_and_prejudice", "wuthering_heights",
         "time_machine", "frankenstein", "tale_of_two_cities", "dorian_gray", "jekyll_and_hyde", "enchanted_april")
LONG = ("count_of_monte_cristo", "twenty_years_after", "war-and-peace", "les_miserables", "crime_and_punishment", "brothers_karamazov")
UNSEEN = ("cranford",)
BOOKS = SIMPLE + PLAIN + LONG + UNSEEN

# Where the story begins and ends, for books whose front and back matter is prose.
BEGIN = {"grimms_fairy_tales": "THE BROTHERS GRIMM FAIRY TALES", "wonderful_wizard_of_oz": "Chicago, April, 1900."}
FINISH = {"grimms_fairy_tales": "The Brothers Grimm, Jacob"}

ASCII = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "—": "--", "–": "-", "…": "...",
                       "\u00a0": " ", "\ufeff": "", "\t": " ", "_": "", "*": ""})
HEADING = re.compile(r"^(chapter|book|part|volume|stave|letter|epilogue|preface|introduction|footnotes?:?)\b.{0,80}$|^[ivxlc0-9]+[.:]?( .{0,60})?$",
                     re.IGNORECASE)
FOREIGN = re.compile(r"gutenberg|transcrib|e-?text|https?:|www\.|illustration|footnote|copyright", re.IGNORECASE)


def is_heading(block):
    """A chapter or tale begins here: a numbered heading or a short line in capitals."""
    line = block.strip()
    words = re.sub(r"[^A-Za-z ]", "", line)
    return len(line) < 90 and (bool(HEADING.match(line)) or (len(words) > 2 and words.isupper()))


def paragraph(lines):
    """The running text of a block of hard-wrapped lines, or None where it is not prose."""
    indented = sum(line.startswith("  ") for line in lines)
    text = re.sub(r"\[[^\]]{0,400}\]", "", " ".join(line.strip() for line in lines))
    text = re.sub(r"\s*--\s*", "--", re.sub(r" {2,}", " ", text)).strip()
    ragged = len(lines) > 2 and max(map(len, lines[:-1])) < 50
    ends = text.endswith((".", "!", "?", '"', "'", ":", ";", "--", ","))
    if indented > len(lines) / 2 or ragged or not ends or len(text) < 20 or FOREIGN.search(text):
        return None
    return text


def documents(text, begin=None, finish=None):
    """Lists of paragraphs, one list for each chapter or tale."""
    if begin and begin in text:
        text = text[text.index(begin) + len(begin):]
    text = text.translate(ASCII).replace("\r\n", "\n")
    if finish and finish in text:
        text = text[:text.index(finish)]
    found = [[]]
    for block in re.split(r"\n\s*\n", text):
        lines = block.strip("\n").split("\n")
        if all(is_heading(line) for line in lines) or is_heading(lines[0]) and len(lines) < 4:
            if found[-1]:
                found.append([])
            continue
        prose = paragraph(lines)
        if prose:
            found[-1].append(prose)
    return [d for d in found if sum(map(len, d)) > 600]


def split(docs, share):
    """(training, held-out): the last documents, at least `share` of the characters and at least one."""
    sizes = [sum(map(len, d)) for d in docs]
    cut, left = len(docs), share * sum(sizes)
    while left > 0 and cut > 1:
        cut -= 1
        left -= sizes[cut]
    return docs[:cut], docs[cut:]


def write(path, docs):
    path.write_text("".join("\n\n".join(d) + "\n" + END + "\n" for d in docs), encoding="utf-8")


def read_books(source):
    """{name: text} of the chosen books, from the archive or a directory."""
    source, found = Path(source), {}
    if source.is_dir():
        found = {p.stem: p.read_text(encoding="utf-8") for p in sorted(source.glob("*.txt")) if p.stem in BOOKS}
    else:
        with tarfile.open(source) as archive:
            for member in archive:
                name = Path(member.name).stem
                if member.name.endswith(".txt") and name in BOOKS:
                    found[name] = archive.extractfile(member).read().decode("utf-8")
    missing = sorted(set(BOOKS) - set(found))
    if missing:
        raise SystemExit(f"Cannot prepare the books: expected {len(BOOKS)} texts, got none of {', '.join(missing)} ({source}). "
                         "Pass the archive or directory that holds them.")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("books")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, text in sorted(read_books(args.books).items()):
        docs = documents(text, BEGIN.get(name), FINISH.get(name))
        train, held = ([], docs) if name in UNSEEN else split(docs, HELD_OUT)
        if train:
            write(args.out / f"{name}.train.txt", train)
        write(args.out / f"{name}.heldout.txt", held)
        count = [sum(len(p) for d in part for p in d) for part in (train, held)]
        print(f"{name:26} {len(docs):4} documents  {count[0]:9} characters to train on  {count[1]:7} held out")


if __name__ == "__main__":
    main()
