package dockerfile

import (
	"path"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"mvdan.cc/sh/v3/syntax"
)

// maxNesting bounds sh -c inside sh -c.
const maxNesting = 4

// maxCalls bounds the commands looked at in one RUN.
const maxCalls = 10000

// script is what a RUN instruction executes.
type script struct {
	calls   []call
	pipes   []pipe
	assigns []assign
	text    string
	err     error  // of the shell parser
	other   string // the interpreter, where it is no POSIX shell
}

// call is one command with its arguments. Words keep variables as written.
type call struct {
	name string   // base name of the program, lower case letters as written
	args []string // without the name
	out  []string // files that its output is redirected to
	raw  string   // the statement as written
	pos  uint     // offset in the script, for "before" and "after"
}

// assign is a variable that a script sets to a text without variables in it.
type assign struct{ name, value string }

// pipe is a pair of commands joined by |.
type pipe struct{ from, to call }

// has reports whether one of the arguments is one of the words.
func (c call) has(words ...string) bool {
	for _, a := range c.args {
		for _, w := range words {
			if a == w {
				return true
			}
		}
	}
	return false
}

// valueFlags are the flags of a program whose value is the next argument, so
// that it is not taken for an operand.
var valueFlags = map[string][]string{
	"apt-get": aptFlags, "apt": aptFlags, "aptitude": aptFlags,
	"apk": {"--virtual", "-t", "--repository", "-X", "--root", "-p", "--arch", "--keys-dir", "--repositories-file", "--cache-dir", "--cache-max-age", "--wait"},
	"yum": rpmFlags,
	"dnf": rpmFlags, "microdnf": rpmFlags, "tdnf": rpmFlags,
	"zypper": {"--repo", "-r", "--from", "--root", "-R", "--plus-repo", "-p", "--cache-dir", "-C"},
	"npm":    {"--prefix", "-C", "--registry", "--workspace", "-w", "--cache", "--userconfig", "--loglevel", "--tag", "--omit", "--include"},
	"pip":    pipFlags, "pip3": pipFlags,
	"git":   {"-c", "-C", "--git-dir", "--work-tree"},
	"chmod": {"--reference"},
}

var (
	aptFlags = []string{"-t", "--target-release", "--default-release", "-o", "--option", "-c", "--config-file", "-a", "--host-architecture"}
	rpmFlags = []string{"--setopt", "--enablerepo", "--disablerepo", "--repo", "--releasever", "--installroot", "--config", "-c", "--exclude", "-x", "--forcearch"}
	pipFlags = []string{"-r", "--requirement", "-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-t", "--target", "--prefix", "--root", "-f", "--find-links",
		"-e", "--editable", "--timeout", "--trusted-host", "--cache-dir", "--platform", "--python-version", "--proxy", "--retries", "--log", "--python"}
)

// operands returns the arguments that are neither flags nor values of flags.
func (c call) operands() []string { return withoutFlagValues(c.args, valueFlags[c.name]...) }

// sub returns the first operand and the operands after it.
func (c call) sub() (string, []string) {
	ops := c.operands()
	if len(ops) == 0 {
		return "", nil
	}
	return ops[0], ops[1:]
}

// script parses what a RUN says, once.
func (f *file) script(in *instr) *script {
	if s, ok := f.shells[in]; ok {
		return s
	}
	s := &script{}
	f.shells[in] = s
	run, ok := in.cmd.(*instructions.RunCommand)
	if !ok {
		return s
	}
	if !run.PrependShell {
		if len(run.CmdLine) > 0 {
			s.text = strings.Join(run.CmdLine, " ")
			s.record(call{name: program(run.CmdLine[0]), args: run.CmdLine[1:]}, 0)
		}
		return s
	}
	if other := f.otherShell(in); other != "" {
		s.other = other
		return s
	}
	text := strings.Join(run.CmdLine, " ")
	if len(run.Files) > 0 && parser.MustParseHeredoc(text) != nil {
		// Nothing but a here-document: its content is the script.
		text = run.Files[0].Data
		if run.Files[0].Chomp {
			text = parser.ChompHeredocContent(text)
		}
		if line, _, _ := strings.Cut(text, "\n"); strings.HasPrefix(line, "#!") && !isShell(program(lastField(line))) {
			s.other = lastField(line)
			return s
		}
		s.parse(text, 0)
		return s
	}
	for _, file := range run.Files {
		text += "\n" + file.Data + file.Name
	}
	s.parse(text, 0)
	return s
}

// unread names what a RUN is written in where that is not understood, or
// returns "".
func (s *script) unread() string {
	switch {
	case s.other != "":
		return s.other
	case s.err != nil:
		return "shell that cannot be parsed"
	}
	return ""
}

func lastField(line string) string {
	fields := strings.Fields(strings.TrimPrefix(line, "#!"))
	if len(fields) == 0 {
		return ""
	}
	return fields[len(fields)-1]
}

// otherShell returns the shell in force at an instruction if it is no POSIX
// shell, for example powershell.
func (f *file) otherShell(at *instr) string {
	current := ""
	for s := at.stage; s != nil; s = s.parent {
		for _, in := range s.instrs {
			if in == at {
				break
			}
			if sh, ok := in.cmd.(*instructions.ShellCommand); ok && len(sh.Shell) > 0 && !in.onbuild {
				current = program(sh.Shell[0])
			}
		}
		if current != "" {
			break
		}
	}
	if current == "" && windows(f.rootBase(at.stage)) {
		current = "cmd"
	}
	if current == "" || isShell(current) {
		return ""
	}
	return current
}

// windows reports whether an image is one of Windows, by its name.
func windows(base string) bool {
	base = strings.ToLower(base)
	return strings.Contains(base, "windows") || strings.Contains(base, "nanoserver") || strings.Contains(base, "servercore")
}

func isShell(name string) bool {
	switch name {
	case "sh", "bash", "dash", "ash", "busybox", "ksh", "zsh", "mksh":
		return true
	}
	return false
}

func program(word string) string {
	return strings.TrimSuffix(path.Base(strings.ReplaceAll(word, `\`, "/")), ".exe")
}

func (s *script) parse(text string, depth int) {
	if depth == 0 {
		s.text = text
	}
	parsed, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		if depth == 0 {
			s.err = err
		}
		return
	}
	syntax.Walk(parsed, func(node syntax.Node) bool {
		switch n := node.(type) {
		case *syntax.Stmt:
			if c, ok := n.Cmd.(*syntax.CallExpr); ok {
				made := readCall(c, n.Redirs)
				made.raw = span(text, n)
				s.record(made, depth)
			}
		case *syntax.Assign:
			if n.Name != nil && n.Value != nil && len(s.assigns) < maxCalls {
				if value := wordText(n.Value); !strings.Contains(value, "$") {
					s.assigns = append(s.assigns, assign{n.Name.Value, value})
				}
			}
		case *syntax.BinaryCmd:
			if n.Op == syntax.Pipe || n.Op == syntax.PipeAll {
				s.pipes = append(s.pipes, pipe{lastCall(n.X), firstCall(n.Y)})
			}
		}
		return true
	})
}

// span is the text of a node, here-documents left out.
func span(text string, n syntax.Node) string {
	from, to := int(n.Pos().Offset()), int(n.End().Offset())
	if from > to || to > len(text) {
		return ""
	}
	return text[from:to]
}

// record notes a call, and what it in turn runs.
func (s *script) record(c call, depth int) {
	if c.name == "" || len(s.calls) >= maxCalls || depth > maxNesting {
		return
	}
	s.calls = append(s.calls, c)
	if inner, ok := unwrap(c); ok {
		s.record(inner, depth+1)
		return
	}
	if isShell(c.name) {
		for i, a := range c.args {
			if strings.HasPrefix(a, "-") && strings.HasSuffix(a, "c") && !strings.HasPrefix(a, "--") && i+1 < len(c.args) {
				s.parse(c.args[i+1], depth+1)
				return
			}
		}
	}
}

// unwrap looks through programs that run another one.
func unwrap(c call) (call, bool) {
	switch c.name {
	case "sudo", "env", "exec", "time", "nice", "nohup", "command", "builtin", "timeout", "setarch", "eatmydata", "xargs", "doas", "gosu", "su-exec":
	default:
		return call{}, false
	}
	args := c.args
	for len(args) > 0 {
		a := args[0]
		switch {
		case strings.HasPrefix(a, "-"), strings.Contains(a, "=") && !strings.HasPrefix(a, "/"):
			args = args[1:]
		case (c.name == "timeout" || c.name == "setarch" || c.name == "gosu" || c.name == "su-exec") && len(args) == len(c.args):
			args = args[1:]
		default:
			return call{name: program(a), args: args[1:], out: c.out, raw: c.raw, pos: c.pos}, true
		}
	}
	return call{}, false
}

func readCall(c *syntax.CallExpr, redirs []*syntax.Redirect) call {
	out := call{pos: c.Pos().Offset()}
	for i, w := range c.Args {
		text := wordText(w)
		if i == 0 {
			out.name = program(text)
			continue
		}
		out.args = append(out.args, text)
	}
	for _, r := range redirs {
		if (r.Op == syntax.RdrOut || r.Op == syntax.AppOut || r.Op == syntax.RdrAll || r.Op == syntax.AppAll) && r.Word != nil {
			out.out = append(out.out, wordText(r.Word))
		}
	}
	return out
}

func lastCall(s *syntax.Stmt) call {
	if b, ok := s.Cmd.(*syntax.BinaryCmd); ok {
		return lastCall(b.Y)
	}
	return stmtCall(s)
}

func firstCall(s *syntax.Stmt) call {
	if b, ok := s.Cmd.(*syntax.BinaryCmd); ok {
		return firstCall(b.X)
	}
	return stmtCall(s)
}

func stmtCall(s *syntax.Stmt) call {
	c, ok := s.Cmd.(*syntax.CallExpr)
	if !ok {
		return call{}
	}
	out := readCall(c, s.Redirs)
	for range maxNesting {
		inner, ok := unwrap(out)
		if !ok {
			break
		}
		out = inner
	}
	return out
}

// wordText is a word without its quotes; variables and substitutions stay as
// written.
func wordText(w *syntax.Word) string {
	var b strings.Builder
	for _, p := range w.Parts {
		partText(&b, p)
	}
	return b.String()
}

func partText(b *strings.Builder, p syntax.WordPart) {
	switch p := p.(type) {
	case *syntax.Lit:
		b.WriteString(strings.ReplaceAll(p.Value, `\`, ""))
	case *syntax.SglQuoted:
		b.WriteString(p.Value)
	case *syntax.DblQuoted:
		for _, inner := range p.Parts {
			if lit, ok := inner.(*syntax.Lit); ok {
				b.WriteString(lit.Value)
				continue
			}
			partText(b, inner)
		}
	case *syntax.ParamExp:
		if p.Param != nil {
			b.WriteString("${" + p.Param.Value + "}")
		}
	default:
		b.WriteString("$(...)")
	}
}

// calls lists the commands that the RUNs of an instruction execute; nothing
// for other instructions.
func (f *file) calls(in *instr) []call { return f.script(in).calls }
