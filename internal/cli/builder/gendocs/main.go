// Command gendocs writes the reference of every command from the commands
// themselves. With -check it compares instead, and fails when the file is out
// of date.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/internal/cli/auditor"
	"github.com/hardstand/hardstand/internal/cli/builder"
	"github.com/hardstand/hardstand/internal/cli/collector"
)

func main() {
	check := flag.Bool("check", false, "compare only")
	flag.Parse()
	if err := run(flag.Arg(0), *check); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

func run(file string, check bool) error {
	text := Reference(trees()...)
	if !check {
		return os.WriteFile(file, text, 0o644)
	}
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Equal(old, text) {
		return fmt.Errorf("%s is out of date: run make docs", file)
	}
	return nil
}

// trees returns the command tree of every executable: to the user they are one.
func trees() []*cobra.Command {
	frame := &cli.Frame{Getenv: func(string) string { return "" }, Version: "dev"}
	return []*cobra.Command{builder.New(frame), auditor.New(frame, auditor.Companions{}), collector.New(frame)}
}

// Reference describes command trees in Markdown. Of the trees after the first
// only what stands below the root is described.
func Reference(roots ...*cobra.Command) []byte {
	var b bytes.Buffer
	b.WriteString("# Command line\n\nGenerated from the commands by `make docs`.\n\n```text\n" + cli.ExitCodes + "```\n")
	seen := map[string]bool{}
	for i, root := range roots {
		if i == 0 {
			describe(&b, root, seen)
			continue
		}
		for _, c := range root.Commands() {
			describe(&b, c, seen)
		}
	}
	return b.Bytes()
}

// describe writes a command and those below it. A group that another tree has
// described already is left out, what is in it is not.
func describe(b *bytes.Buffer, c *cobra.Command, seen map[string]bool) {
	if seen[c.CommandPath()] {
		for _, sub := range c.Commands() {
			describe(b, sub, seen)
		}
		return
	}
	if c.Hidden || c.Name() == "help" || c.Name() == "completion" || cli.HandedOver(c) != "" {
		return
	}
	seen[c.CommandPath()] = true
	fmt.Fprintf(b, "\n## %s\n\n%s.\n", c.CommandPath(), strings.TrimSuffix(c.Short, "."))
	if c.Long != "" {
		fmt.Fprintf(b, "\n```text\n%s\n```\n", c.Long)
	}
	fmt.Fprintf(b, "\n```text\n%s\n```\n", c.UseLine())
	if c.Example != "" {
		fmt.Fprintf(b, "\nExamples:\n\n```text\n%s\n```\n", c.Example)
	}
	var rows []string
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" || f.Name == "version" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		kind, usage := pflag.UnquoteUsage(f)
		if kind != "" {
			name += " " + kind
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" {
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s |", name, strings.ReplaceAll(usage, "|", "\\|")))
	})
	if len(rows) > 0 {
		fmt.Fprintf(b, "\n| flag | meaning |\n|---|---|\n%s\n", strings.Join(rows, "\n"))
	}
	for _, sub := range c.Commands() {
		describe(b, sub, seen)
	}
}
