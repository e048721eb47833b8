package builder

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/internal/cli"
)

// TestHolder compares what hardstand decides from the words alone with what
// the command tree says.
func TestHolder(t *testing.T) {
	handed := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		words := strings.Fields(c.CommandPath())[1:]
		for _, args := range [][]string{words, append(words[:len(words):len(words)], "--help")} {
			if got, want := cli.Holder(args), cli.HandedOver(c); got != want {
				t.Errorf("Holder(%q) = %q, the command says %q", args, got, want)
			}
		}
		if cli.HandedOver(c) != "" {
			handed++
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(New(&cli.Frame{Getenv: func(string) string { return "" }}))
	if handed == 0 {
		t.Error("the tree hands nothing over")
	}
	for _, args := range [][]string{nil, {"--help"}, {"help", "audit"}, {"--quiet", "audit"}, {"canary", "--help"}, {cobra.ShellCompRequestCmd, "audit", ""}} {
		if got := cli.Holder(args); got != "" {
			t.Errorf("Holder(%q) = %q, the tree decides that", args, got)
		}
	}
}
