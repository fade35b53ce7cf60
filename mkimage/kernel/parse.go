package kernel

import (
	"fmt"
	"io"
	"slices"

	"deltaup/chunkstore"
	"deltaup/mkimage/internal/recipetext"
)

// ParseRecipe reads what [Recipe.WriteTo] writes of a valid recipe and nothing else: WriteTo writes
// what it accepts as the same bytes again. Errors wrap chunkstore.ErrCorrupt or
// chunkstore.ErrVersion, or are those of rd.
func ParseRecipe(rd io.Reader) (*Recipe, error) {
	p := &parser{recipe: new(Recipe)}
	p.parts = []part{
		{wordBefore, &p.recipe.Before},
		{wordPayload, &p.recipe.Payload},
		{wordBehind, &p.recipe.Behind},
	}
	parameters := []recipetext.LineFunc{p.codec, recipetext.Chunking(&p.recipe.Chunking)}
	if err := recipetext.Read(rd, recipeFormat, parameters, p.body); err != nil {
		return nil, err
	}
	if err := p.recipe.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", recipeFormat.Name, err)
	}
	return p.recipe, nil
}

// parser holds what ParseRecipe has read so far.
type parser struct {
	recipe   *Recipe
	parts    []part // that may still come, in order
	contents recipetext.Contents
}

// part is a content of a recipe, with the word that begins its line.
type part struct {
	word    string
	content **chunkstore.Content
}

func (p *parser) codec(f *recipetext.Fields, b []byte) ([]byte, error) {
	f.Word(wordCodec)
	p.recipe.Codec = f.Text()
	return p.recipe.appendCodec(b), nil
}

// body reads one line between the parameters and the end.
func (p *parser) body(f *recipetext.Fields, b []byte) ([]byte, error) {
	word := f.Text()
	if word == recipetext.WordChunk {
		return p.contents.Chunk(f, b)
	}
	p.contents.End()
	i := slices.IndexFunc(p.parts, func(x part) bool { return x.word == word })
	if i < 0 {
		return nil, corrupt("%.20q, which is unknown or cannot follow", word)
	}
	c := p.contents.Take(f)
	if c == nil {
		return nil, corrupt("%s is empty", word)
	}
	*p.parts[i].content = c
	p.parts = p.parts[i+1:]
	return recipetext.AppendContent(append(append(b, word...), ' '), c), nil
}

// Validate reports the first thing that is wrong with r. Its errors wrap chunkstore.ErrCorrupt. A
// codec that this program does not know is valid, see [KnownCodec].
func (r *Recipe) Validate() error {
	if err := recipetext.CheckParameters(r.Codec, r.Chunking); err != nil {
		return err
	}
	if r.Payload == nil {
		return corrupt("no payload")
	}
	contents := recipetext.NewContentCheck(r.Chunking)
	for name, c := range r.Parts() {
		if c.Size <= 0 || c.Size > contentMax || c.ID.IsZero() {
			return corrupt("%s has %d bytes", name, c.Size)
		}
		first, err := contents.First(c)
		if err == nil && first {
			err = contents.Chunks(c)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
