package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule11f = rule{audit.Rule{
	ID: "CHG-1.1f", Title: "CMD and ENTRYPOINT are JSON arrays", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"JSONArgsRecommended", "DL3025"},
	Why:      "The other form starts a shell, which swallows the signals that should stop the program, and needs a shell in the image.",
	Fix:      `Write CMD ["program", "argument"].`,
	Evidence: "line and the command as written",
}, func(c *check) {
	c.held = "no CMD or ENTRYPOINT starts a shell"
	c.each(func(in *instr) {
		var line instructions.ShellDependantCmdLine
		switch cmd := in.cmd.(type) {
		case *instructions.CmdCommand:
			line = cmd.ShellDependantCmdLine
		case *instructions.EntrypointCommand:
			line = cmd.ShellDependantCmdLine
		default:
			return
		}
		if line.PrependShell && len(line.CmdLine) > 0 && !c.ownShell(in) {
			c.warn(spot{in: in, observed: in.name + " in shell form", expected: in.name + " as a JSON array", fix: c.jsonFix(in, line.CmdLine)})
		}
	})
}}

// ownShell reports whether SHELL was set in the stage: then the author chose
// the shell on purpose, as BuildKit has it.
func (f *file) ownShell(at *instr) bool {
	for _, in := range at.stage.instrs {
		if in.name == "SHELL" && !in.onbuild {
			return true
		}
	}
	return false
}

// jsonFix is jsonForm where the program stays the same: an ENTRYPOINT in shell
// form takes no CMD as its arguments, one in JSON form does; and Windows runs
// scripts through its shell only.
func (f *file) jsonFix(in *instr, line []string) string {
	if windows(f.rootBase(in.stage)) {
		return ""
	}
	for _, s := range f.stages {
		for _, other := range s.instrs {
			if in.name == "ENTRYPOINT" && other.name == "CMD" || in.name == "CMD" && other.name == "ENTRYPOINT" {
				return ""
			}
		}
	}
	return jsonForm(in.name, line)
}

// jsonForm writes a simple command as a JSON array, or returns "" where a
// shell does something for it.
func jsonForm(name string, line []string) string {
	text := strings.Join(line, " ")
	if redact(text) != text || strings.ContainsAny(text, "$&|;<>()`*?[]{}~#\"'\\=!\n") {
		return ""
	}
	words := strings.Fields(text)
	if len(words) > 0 && words[0] == "exec" {
		words = words[1:]
	}
	if len(words) == 0 || builtin[words[0]] {
		return ""
	}
	return name + ` ["` + strings.Join(words, `", "`) + `"]`
}

// builtin are commands that only a shell has.
var builtin = map[string]bool{
	".": true, ":": true, "source": true, "cd": true, "exit": true, "export": true, "set": true, "ulimit": true, "umask": true, "eval": true, "trap": true,
	"command": true, "type": true, "unset": true, "wait": true, "shopt": true, "alias": true, "if": true, "for": true, "while": true, "until": true, "case": true,
}
