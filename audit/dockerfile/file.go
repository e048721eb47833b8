// Package dockerfile judges Dockerfiles and their build context. It reads
// what it is given and nothing else: no network, no daemon, no environment.
//
// BuildKit's own parser reads the instructions, and mvdan.cc/sh reads what RUN
// says. A broken instruction is a finding, and the rules still run over the
// rest; what they did not see broken is then unknown and not passed.
package dockerfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/hardstand/hardstand/audit"
)

// MaxSize bounds a Dockerfile, in bytes.
const MaxSize = 1 << 20

// maxRepairs bounds how many broken instructions are stepped over.
const maxRepairs = 50

// Bounds of what is looked at: rules compare instructions with each other.
const (
	maxInstructions = 2000
	maxStages       = 200
	maxIgnores      = 1000
)

// ErrTooLarge is the refusal of a Dockerfile over MaxSize.
var ErrTooLarge = fmt.Errorf("the Dockerfile has more than %d bytes", MaxSize)

// Read reads a Dockerfile and refuses one over MaxSize without holding it.
func Read(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxSize {
		return nil, ErrTooLarge
	}
	return data, nil
}

// file is a Dockerfile as the rules see it.
type file struct {
	artifact audit.Artifact
	lines    []string // without line ends
	escape   rune
	syntax   *reference // of "# syntax=", or nil
	checks   checkDirective
	meta     []*instr // ARGs before the first FROM
	all      []*instr // in the order of the file, FROM included
	stages   []*stage
	target   *stage // nil without a stage
	problems []problem
	warnings []problem
	shells   map[*instr]*script
}

// problem is something the parser said.
type problem struct {
	start, end int
	text       string
}

// stage is one FROM and what follows.
type stage struct {
	index     int
	name      string
	from      *instr
	raw       string // the base as written
	base      string // with the global ARGs in place
	platform  string
	parent    *stage // the stage it is built from, or nil
	instrs    []*instr
	reachable bool
	env       map[string]string // names known at the stage's end
}

// instr is one instruction.
type instr struct {
	node       *parser.Node
	name       string // upper case
	cmd        instructions.Command
	start, end int
	stage      *stage
	onbuild    bool // written behind ONBUILD: it runs in other people's builds
}

// reference is an image that the file names.
type reference struct {
	in     *instr
	line   int
	raw    string
	value  string
	where  string // "FROM", "COPY --from", "RUN --mount", "# syntax"
	tagPos bool   // the text as written holds no variable and can be rewritten
}

// parse reads a Dockerfile. target names the stage to build, "" the last.
func parse(artifact audit.Artifact, data []byte, target string, args map[string]string) *file {
	sum := sha256.Sum256(data)
	artifact.SHA256 = hex.EncodeToString(sum[:])
	f := &file{artifact: artifact, escape: '\\', shells: map[*instr]*script{}}
	if !utf8.Valid(data) {
		f.problems = append(f.problems, problem{1, 1, "the file is not valid UTF-8"})
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	f.lines = strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
	if value, _, where, ok := parser.DetectSyntax(data); ok && len(where) > 0 {
		f.syntax = &reference{line: where[0].Start.Line, raw: value, value: value, where: "# syntax", tagPos: true}
	}
	if value, _, where, ok := parser.ParseDirective("check", data); ok && len(where) > 0 {
		f.checks = parseCheckDirective(value, where[0].Start.Line)
	}
	result := f.tolerantParse(data)
	if result == nil {
		return f
	}
	f.escape = result.EscapeToken
	for _, w := range result.Warnings {
		f.warnings = append(f.warnings, problem{w.Location.Start.Line, w.Location.End.Line, w.Short})
	}
	for i, node := range result.AST.Children {
		if i >= maxInstructions || len(f.stages) > maxStages {
			f.problem(node.StartLine, node.EndLine, "more than %d instructions or %d stages; the rest was not read", maxInstructions, maxStages)
			break
		}
		f.add(node)
	}
	if len(f.stages) == 0 {
		f.problem(1, 1, "no FROM: there is no stage to build")
	}
	f.link(args)
	f.aim(target)
	return f
}

func (f *file) problem(start, end int, format string, args ...any) {
	if len(f.problems) > maxRepairs {
		return
	}
	f.problems = append(f.problems, problem{max(start, 1), max(end, start, 1), fmt.Sprintf(format, args...)})
}

// incomplete reports whether some of the file could not be read.
func (f *file) incomplete() bool { return len(f.problems) > 0 }

// tolerantParse steps over instructions that the parser cannot read: it blanks
// their lines, which keeps the numbers of the others, and tries again.
func (f *file) tolerantParse(data []byte) *parser.Result {
	lines := bytes.SplitAfter(data, []byte("\n"))
	for range maxRepairs {
		result, err := parser.Parse(bytes.NewReader(bytes.Join(lines, nil)))
		if err == nil {
			return result
		}
		start, end := errorLines(err)
		if strings.Contains(err.Error(), "file with no instructions") {
			f.problem(1, 1, "the file has no instructions that can be read")
			return nil
		}
		f.problem(start, end, "%v", err)
		if start < 1 || start > len(lines) {
			return nil
		}
		for i := start; i <= min(max(end, start), len(lines)); i++ {
			lines[i-1] = []byte("\n")
		}
	}
	f.problem(1, 1, "more than %d broken instructions; the rest was not read", maxRepairs)
	return nil
}

func errorLines(err error) (start, end int) {
	var where *parser.LocationError
	if !errors.As(err, &where) {
		return 0, 0
	}
	for _, ranges := range where.Locations {
		for _, r := range ranges {
			if start == 0 || r.Start.Line < start {
				start = r.Start.Line
			}
			end = max(end, r.End.Line)
		}
	}
	// The parser counts lines from 0 where it has not counted the one it is at.
	return max(start, 1), max(end, 1)
}

// instruction reads one instruction. BuildKit's parser is called with a linter
// of its own, without which a check directive in a comment makes it panic; a
// panic that is left is a broken instruction and not the end of the audit.
func instruction(node *parser.Node) (parsed any, err error) {
	defer func() {
		if p := recover(); p != nil {
			parsed, err = nil, fmt.Errorf("BuildKit's parser gives up: %v", p)
		}
	}()
	return instructions.ParseInstructionWithLinter(node, linter.New(&linter.Config{SkipAll: true}))
}

// add reads one instruction into its place.
func (f *file) add(node *parser.Node) {
	in := &instr{node: node, name: strings.ToUpper(node.Value), start: node.StartLine, end: node.EndLine}
	parsed, err := instruction(node)
	if err != nil {
		f.problem(in.start, in.end, "%v", err)
		return
	}
	f.all = append(f.all, in)
	if from, ok := parsed.(*instructions.Stage); ok {
		s := &stage{index: len(f.stages), name: from.Name, from: in, raw: from.BaseName, platform: from.Platform}
		in.stage = s
		f.stages = append(f.stages, s)
		return
	}
	in.cmd = parsed.(instructions.Command)
	if len(f.stages) == 0 {
		if in.name != "ARG" {
			f.problem(in.start, in.end, "%s before the first FROM", in.name)
			return
		}
		f.meta = append(f.meta, in)
		return
	}
	in.stage = f.stages[len(f.stages)-1]
	if run, ok := in.cmd.(*instructions.RunCommand); ok {
		// Mounts are read on expansion only.
		if err := run.Expand(func(word string) (string, error) { return word, nil }); err != nil {
			f.problem(in.start, in.end, "%v", err)
		}
	}
	in.stage.instrs = append(in.stage.instrs, in)
	if onbuild, ok := in.cmd.(*instructions.OnbuildCommand); ok {
		f.addOnbuild(in, onbuild.Expression)
	}
}

// addOnbuild reads what stands behind ONBUILD as an instruction of its own.
func (f *file) addOnbuild(in *instr, expression string) {
	result, err := parser.Parse(strings.NewReader("FROM scratch\n" + expression + "\n"))
	if err != nil {
		f.problem(in.start, in.end, "ONBUILD: %v", err)
		return
	}
	for _, node := range result.AST.Children[1:] {
		node.Heredocs = in.node.Heredocs
		parsed, err := instruction(node)
		cmd, ok := parsed.(instructions.Command)
		if err != nil || !ok {
			f.problem(in.start, in.end, "ONBUILD %s cannot be used: %v", node.Value, err)
			continue
		}
		if run, ok := cmd.(*instructions.RunCommand); ok {
			if err := run.Expand(func(word string) (string, error) { return word, nil }); err != nil {
				f.problem(in.start, in.end, "ONBUILD: %v", err)
			}
		}
		inner := &instr{node: node, name: strings.ToUpper(node.Value), cmd: cmd, start: in.start, end: in.end, stage: in.stage, onbuild: true}
		f.all = append(f.all, inner)
		in.stage.instrs = append(in.stage.instrs, inner)
	}
}

// link expands bases and finds the stages they mean. args are the build
// arguments that the caller would pass.
func (f *file) link(args map[string]string) {
	env := environment{}
	for _, in := range f.meta {
		for _, a := range in.cmd.(*instructions.ArgCommand).Args {
			if v, ok := args[a.Key]; ok {
				env[a.Key] = v
			} else if a.Value != nil {
				env[a.Key] = f.expand(*a.Value, env)
			}
		}
	}
	for _, s := range f.stages {
		s.base = f.expand(s.raw, env)
		s.parent = f.find(s.base, s.index)
		s.env = map[string]string{}
		if s.parent != nil {
			for k, v := range s.parent.env {
				s.env[k] = v
			}
		}
		for _, in := range s.instrs {
			if in.onbuild {
				continue
			}
			switch c := in.cmd.(type) {
			case *instructions.EnvCommand:
				values := make([]string, len(c.Env))
				for i, kv := range c.Env {
					values[i] = f.expand(kv.Value, environment(s.env))
				}
				for i, kv := range c.Env {
					s.env[kv.Key] = values[i]
				}
			case *instructions.ArgCommand:
				for _, a := range c.Args {
					if v, ok := args[a.Key]; ok {
						s.env[a.Key] = v
					} else if a.Value != nil {
						s.env[a.Key] = f.expand(*a.Value, environment(s.env))
					} else if v, ok := env[a.Key]; ok {
						s.env[a.Key] = v
					} else {
						s.env[a.Key] = ""
					}
				}
			}
		}
	}
}

// environment is a set of variables for expansion.
type environment map[string]string

func (e environment) Get(key string) (string, bool) { v, ok := e[key]; return v, ok }

// Keys lists the names.
func (e environment) Keys() []string {
	keys := make([]string, 0, len(e))
	for k := range e {
		keys = append(keys, k)
	}
	return keys
}

// Bounds of a word that is expanded: variables that contain one another double
// with every line.
const (
	maxVariables = 100
	maxValue     = 4096 // bytes of a word and of what it becomes
)

// expand puts variables in place and leaves those it does not know as written,
// and so a word that is too long or becomes so.
func (f *file) expand(word string, env environment) string {
	if !strings.ContainsAny(word, "$\"'") {
		return word
	}
	if len(word) > maxValue || strings.Count(word, "$") > maxVariables {
		return word
	}
	// One replacement can make every letter as long as the word, and one
	// inside another that again.
	if n := len(replacement().FindAllString(word, 2)); n > 1 || n == 1 && len(word) > maxValue/16 {
		return word
	}
	lex := shell.NewLex(f.escape)
	// A word whose every variable has a default needs none from outside.
	lex.SkipUnsetEnv = len(variables(word)) > 0
	out, _, err := lex.ProcessWord(word, env)
	if err != nil || len(out) > maxValue {
		return word
	}
	return out
}

// replacement begins ${NAME/pattern/text}.
var replacement = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\$\{\w+/`) })

// find returns the stage before limit that a name or number means, or nil.
func (f *file) find(name string, limit int) *stage {
	for i := min(limit, len(f.stages)) - 1; i >= 0; i-- {
		if f.stages[i].name != "" && strings.EqualFold(f.stages[i].name, name) {
			return f.stages[i]
		}
	}
	return nil
}

// findFrom is find for COPY --from and RUN --mount, which take numbers too.
func (f *file) findFrom(name string, limit int) *stage {
	if s := f.find(name, limit); s != nil {
		return s
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < limit && n < len(f.stages) {
		return f.stages[n]
	}
	return nil
}

// aim finds the target and marks the stages that it needs.
func (f *file) aim(target string) {
	if len(f.stages) == 0 {
		return
	}
	f.target = f.stages[len(f.stages)-1]
	if target != "" {
		f.target = f.findFrom(target, len(f.stages))
		if f.target == nil {
			f.problem(1, 1, "there is no stage called %q", target)
			f.target = f.stages[len(f.stages)-1]
		}
	}
	f.reach(f.target)
}

func (f *file) reach(s *stage) {
	if s == nil || s.reachable {
		return
	}
	s.reachable = true
	f.reach(s.parent)
	for _, in := range s.instrs {
		for _, name := range fromNames(in) {
			f.reach(f.findFrom(name, s.index))
		}
	}
}

// fromNames lists what COPY --from and RUN --mount of an instruction name.
func fromNames(in *instr) []string {
	switch c := in.cmd.(type) {
	case *instructions.CopyCommand:
		if c.From != "" {
			return []string{c.From}
		}
	case *instructions.RunCommand:
		var names []string
		for _, m := range instructions.GetMounts(c) {
			if m != nil && m.From != "" {
				names = append(names, m.From)
			}
		}
		return names
	}
	return nil
}

// chain is the target and the stages it is built from, the target first.
func (f *file) chain() []*stage {
	var list []*stage
	for s := f.target; s != nil; s = s.parent {
		list = append(list, s)
	}
	return list
}

// each calls fn for the instructions of reachable stages, in file order.
func (f *file) each(fn func(*instr)) {
	for _, s := range f.stages {
		if !s.reachable {
			continue
		}
		for _, in := range s.instrs {
			fn(in)
		}
	}
}

// references lists the external images that reachable stages name.
func (f *file) references() []reference {
	var list []reference
	if f.syntax != nil {
		list = append(list, *f.syntax)
	}
	for _, s := range f.stages {
		if !s.reachable {
			continue
		}
		if s.parent == nil && s.base != "scratch" {
			list = append(list, reference{in: s.from, line: s.from.start, raw: s.raw, value: s.base, where: "FROM", tagPos: !strings.Contains(s.raw, "$")})
		}
		for _, in := range s.instrs {
			where := "COPY --from"
			if in.name == "RUN" {
				where = "RUN --mount"
			}
			for _, name := range fromNames(in) {
				if f.findFrom(name, s.index) != nil || name == "scratch" {
					continue
				}
				value := f.expand(name, environment(s.env))
				list = append(list, reference{in: in, line: in.start, raw: name, value: value, where: where, tagPos: !strings.Contains(name, "$")})
			}
		}
	}
	return list
}
