package main

import (
	"time"

	"deltaup/chunkstore"
	"deltaup/settings"
)

// What --json prints; doc/settings.md has the fields.
type (
	generationJSON struct {
		Number  int           `json:"number"`
		Parent  int           `json:"parent,omitempty"`
		Image   chunkstore.ID `json:"image"`
		Time    time.Time     `json:"time"`
		Cause   string        `json:"cause"`
		Message string        `json:"message,omitempty"`
	}
	changeJSON struct {
		Path string          `json:"path"`
		What settings.Change `json:"what"`
	}
	conflictJSON struct {
		Path    string   `json:"path"`
		Taken   string   `json:"taken"`
		Remarks []string `json:"remarks,omitempty"`
	}
	returnedJSON struct {
		Image      chunkstore.ID `json:"image"`
		Generation int           `json:"generation"`
		Paths      []string      `json:"paths"`
	}
	settingsJSON struct {
		Image      chunkstore.ID   `json:"image"`
		Generation *generationJSON `json:"generation"`
		Unchanged  []string        `json:"unchanged"`
		Changed    []changeJSON    `json:"changed"`
		Conflicts  []conflictJSON  `json:"conflicts"`
		NotKept    []changeJSON    `json:"not_kept"`
		Root       []changeJSON    `json:"root,omitempty"`
		Returned   *returnedJSON   `json:"returned,omitempty"`
		Failed     []string        `json:"failed,omitempty"`
	}
)

func jsonOfGeneration(g *settings.Generation) *generationJSON {
	if g == nil {
		return nil
	}
	return &generationJSON{g.Number, g.Parent, g.Image, g.Time, string(g.Cause), g.Message}
}

func jsonOfDifferences(all []settings.Difference) []changeJSON {
	out := []changeJSON{}
	for _, d := range all {
		out = append(out, changeJSON{d.Path, d.What})
	}
	return out
}

func jsonOfLost(all []settings.Lost) []changeJSON {
	out := []changeJSON{}
	for _, l := range all {
		out = append(out, changeJSON{l.Path, l.What})
	}
	return out
}

func jsonOfConflicts(all []settings.Conflict) []conflictJSON {
	out := []conflictJSON{}
	for i := range all {
		out = append(out, conflictJSON{all[i].Path(), all[i].Taken, all[i].Remarks})
	}
	return out
}

func jsonOfStatus(r *settings.Running, s *settings.Status) *settingsJSON {
	out := &settingsJSON{
		Image: r.View.Image, Generation: jsonOfGeneration(r.Laid), Unchanged: append([]string{}, s.Unchanged...),
		Changed: jsonOfDifferences(s.Changed), Conflicts: jsonOfConflicts(s.Conflicts),
		NotKept: jsonOfLost(s.NotKept),
	}
	if s.Returned != nil {
		out.Returned = &returnedJSON{s.Returned.Image, s.Returned.Generation, s.Returned.Paths}
	}
	return out
}
