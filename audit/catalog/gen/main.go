// Command gen writes docs/rules from the rules themselves: gen DIRECTORY,
// where the directory is docs. Pages of rules that are gone are removed.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hardstand/hardstand/audit/catalog"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(docs string) error {
	dir := filepath.Join(docs, "rules")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	pages := catalog.Pages()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, ok := pages[e.Name()]; !ok && strings.HasPrefix(e.Name(), "CHG-") {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
