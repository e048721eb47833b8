package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestReferenceIsUpToDate(t *testing.T) {
	if err := run("../../../../docs/cli.md", os.Getenv("UPDATE") == ""); err != nil {
		t.Error(err)
	}
}

func TestEveryCommandHasAnExample(t *testing.T) {
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Example == "" || c.Short == "" {
			t.Errorf("%s has no example or no description", c.CommandPath())
		}
		for _, line := range strings.Split(strings.ReplaceAll(c.Example, "\\\n", " "), "\n") {
			if !strings.Contains(line, "hardstand") {
				t.Errorf("%s: example %q is no command", c.CommandPath(), line)
			}
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	for _, root := range trees() {
		visit(root)
	}
}
