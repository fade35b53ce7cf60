package mkimage

import (
	"bufio"
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/mkimage/internal/recipetext"
)

// keptFormat is that of a recipe with contents whose chunks are not known.
var keptFormat = recipetext.Format{
	Name:    "kept recipe",
	Magic:   "deltaup-kept-recipe",
	Version: "1",
	LineMax: recipeFormat.LineMax,
}

// wordText begins the line that tells a whole recipe.
const wordText = "text"

// WriteKept writes a recipe of which a target keeps what it knows, as doc/recipe.md says: the
// chunks of contents may be unknown, and their ids stand-ins. Whole is the id of the text that
// WriteTo writes of the whole recipe. It writes a recipe that lacks nothing as WriteTo does.
func (r *Recipe) WriteKept(w io.Writer, whole chunkstore.ID) error {
	if r.Unlisted() == 0 {
		_, err := r.WriteTo(w)
		return err
	}
	out := recipetext.NewWriter(w, keptFormat)
	r.write(out, appendText(nil, whole))
	_, err := out.Close()
	return err
}

// ParseKept reads what WriteKept writes and nothing else, with the id of the whole recipe's text.
// Errors are those of ParseRecipe.
func ParseKept(rd io.Reader) (r *Recipe, whole chunkstore.ID, err error) {
	in := bufio.NewReader(rd)
	if begin, _ := in.Peek(len(keptFormat.Magic)); string(begin) != keptFormat.Magic {
		if r, err = ParseRecipe(in); err == nil {
			whole, err = r.ID()
		}
		return r, whole, err
	}
	p := newParser()
	p.contents.Unlisted = true
	text := func(f *recipetext.Fields, b []byte) ([]byte, error) {
		f.Word(wordText)
		whole, err = chunkstore.ParseID(f.Text())
		return appendText(b, whole), err
	}
	r, err = p.parse(in, keptFormat, p.image, recipetext.Chunking(&p.recipe.Chunking), text)
	if err == nil && r.Unlisted() == 0 {
		err = corrupt("%s: it lacks nothing", keptFormat.Name)
	}
	return r, whole, err
}

func appendText(b []byte, whole chunkstore.ID) []byte {
	return fmt.Appendf(b, "%s %v", wordText, whole)
}
