package loadertest_test

import (
	"testing"

	"deltaup/internal/test/loadertest"
)

func TestToy(t *testing.T) {
	loadertest.Run(t, func(t *testing.T) *loadertest.Bench {
		toy := loadertest.NewToy(loadertest.NewMachine(t))
		return &loadertest.Bench{
			Loader: toy, Boot: toy.Boot, Path: toy.Path(),
			Damages: map[string]string{"empty": "", "cut off": `{"Active": "a"`, "zeros": string(make([]byte, 100))},
		}
	})
}
