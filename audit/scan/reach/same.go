package reach

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hardstand/hardstand/audit/scan/inventory"
)

// ignored are build settings in which a stripped program and the one with
// symbols may differ.
var ignored = []string{"-ldflags", "-trimpath"}

// Same explains why one program is not the other with its symbols left in, or
// returns nil.
func Same(stripped, full inventory.Program) error {
	if full.Stripped {
		return fmt.Errorf("%s has no symbol table either: build it without -ldflags=-s", full.Path)
	}
	a, b := maps.Clone(stripped.Settings), maps.Clone(full.Settings)
	for _, key := range ignored {
		delete(a, key)
		delete(b, key)
	}
	switch {
	case stripped.Main != full.Main:
		return fmt.Errorf("%s is %s, and %s is %s", full.Path, full.Main, stripped.Path, stripped.Main)
	case stripped.GoVersion != full.GoVersion:
		return fmt.Errorf("%s is built with %s, and %s with %s", full.Path, full.GoVersion, stripped.Path, stripped.GoVersion)
	case !slices.Equal(stripped.Modules, full.Modules):
		return fmt.Errorf("%s and %s are built of different modules", full.Path, stripped.Path)
	case !maps.Equal(a, b):
		return fmt.Errorf("%s and %s are built with different settings", full.Path, stripped.Path)
	}
	return nil
}
