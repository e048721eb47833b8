// Package lint finds what a workload's own files would trip: probes and hooks
// of Kubernetes and Compose files, task definitions, Terraform and Nomad files,
// Quadlet units, Dockerfiles, charts that are not yet YAML, scripts in config
// maps and pipelines, file synchronisation of Skaffold and Tilt, and scripts
// that call `kubectl cp` (which runs tar in the container), `kubectl exec` or
// `docker exec`. It judges by name: whether the container runs the image with
// the decoys, it cannot know.
package lint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/canary/decoy"
	"gopkg.in/yaml.v3"
)

// MaxFile bounds a file, in bytes.
const MaxFile = 4 << 20

const maxDepth = 100 // of nested YAML

// Finding is one command that would trip a decoy.
type Finding struct {
	File  string `json:"file"`
	Line  int    `json:"line"`
	Decoy string `json:"decoy"` // name
	Where string `json:"where"` // such as spec.containers[0].livenessProbe.exec.command
	Text  string `json:"text"`  // the command
	Why   string `json:"why"`
}

// String is the finding as a compiler prints one.
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %q trips the decoy %s: %s", f.File, f.Line, f.Where, f.Text, f.Decoy, f.Why)
}

// Check returns the findings of one file in the order of its lines.
func Check(name string, content []byte, r decoy.Register) ([]Finding, error) {
	if len(content) > MaxFile {
		return nil, fmt.Errorf("lint %s: %d bytes, the limit is %d", name, len(content), MaxFile)
	}
	l := &linter{file: name, decoys: r.Decoys, seen: map[string]bool{}}
	var err error
	switch base := strings.ToLower(path.Base(name)); {
	case strings.HasPrefix(base, "dockerfile") || strings.HasSuffix(base, ".dockerfile"):
		l.dockerfile(string(content))
	case base == "tiltfile":
		l.tiltfile(string(content))
	case isStructured(base) && !bytes.Contains(content, []byte("{{")):
		err = l.yaml(content)
	case isStructured(base) || isCode(base):
		l.template(string(content))
		l.script(string(content), 0)
	default:
		l.script(string(content), 0)
	}
	if err != nil {
		return nil, fmt.Errorf("lint %s: %w", name, err)
	}
	slices.SortStableFunc(l.findings, func(a, b Finding) int { return a.Line - b.Line })
	return l.findings, nil
}

func isStructured(base string) bool {
	ext := path.Ext(base)
	return ext == ".yaml" || ext == ".yml" || ext == ".json" || ext == ".tpl"
}

// isCode: formats with lists of words that are no YAML.
func isCode(base string) bool {
	switch path.Ext(base) {
	case ".tf", ".hcl", ".nomad", ".jsonnet", ".libsonnet", ".cue":
		return true
	}
	return false
}

type linter struct {
	file     string
	decoys   []decoy.Registered
	findings []Finding
	seen     map[string]bool
}

// yaml walks every document; JSON is YAML.
func (l *linter) yaml(content []byte) error {
	documents := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var document yaml.Node
		err := documents.Decode(&document)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("parse YAML: %w", err)
		}
		l.walk(&document, "", 0)
	}
}

func (l *linter) walk(n *yaml.Node, where string, depth int) {
	if depth > maxDepth {
		return
	}
	switch n.Kind {
	case yaml.DocumentNode:
		for _, child := range n.Content {
			l.walk(child, where, depth+1)
		}
	case yaml.SequenceNode:
		for i, child := range n.Content {
			l.walk(child, fmt.Sprintf("%s[%d]", where, i), depth+1)
		}
	case yaml.ScalarNode:
		l.scalar(n, where)
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i].Value, n.Content[i+1]
			inner := strings.TrimPrefix(where+"."+key, ".")
			if isCommand(key) {
				l.value(value, inner)
			}
			if key == "sync" && value.Kind == yaml.MappingNode && strings.HasPrefix(strings.ToLower(path.Base(l.file)), "skaffold") {
				l.program("tar", "sync", inner, n.Content[i].Line, "Skaffold runs tar in the container to synchronise files")
			}
			l.walk(value, inner, depth+1)
		}
	}
}

// scalar looks at text: a script with an interpreter, which a config map mounts
// into the container, or a step of a pipeline.
func (l *linter) scalar(n *yaml.Node, where string) {
	if rest, found := strings.CutPrefix(n.Value, "#!"); found {
		first, _, _ := strings.Cut(rest, "\n")
		if words := strings.Fields(first); len(words) > 0 {
			if path.Base(words[0]) == "env" && len(words) > 1 {
				l.program(words[1], "#!"+first, where, n.Line, "the script's interpreter")
			}
			l.program(words[0], "#!"+first, where, n.Line, "the script's interpreter")
		}
	}
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		l.script(n.Value, n.Line) // the text begins on the next line
		return
	}
	l.script(strings.ReplaceAll(n.Value, "\n", "; "), n.Line-1)
}

func isCommand(key string) bool {
	switch strings.ToLower(key) {
	case "command", "args", "entrypoint", "test", "entry_point":
		return true
	}
	return false
}

// value is a command as a list of words or, in Compose, as one string.
func (l *linter) value(n *yaml.Node, where string) {
	switch n.Kind {
	case yaml.ScalarNode:
		if strings.HasSuffix(where, "test") { // Compose: a string is CMD-SHELL
			l.program("sh", n.Value, where, n.Line, "a health check given as one string runs in a shell")
		}
		l.shell(n.Value, where, n.Line)
	case yaml.SequenceNode:
		var words []string
		for _, child := range n.Content {
			words = append(words, child.Value)
		}
		l.words(words, where, n.Line, strings.HasSuffix(where, "args"))
	}
}

// words is a command as a list. Arguments alone have no program, but may be
// the script of a shell that the image's entrypoint is.
func (l *linter) words(words []string, where string, line int, onlyArguments bool) {
	if len(words) == 0 {
		return
	}
	text := strings.Join(words, " ")
	switch {
	case words[0] == "NONE":
		return
	case words[0] == "CMD":
		l.words(words[1:], where, line, false)
		return
	case words[0] == "CMD-SHELL":
		l.program("sh", text, where, line, "CMD-SHELL runs in a shell")
		l.shell(strings.Join(words[1:], " "), where, line)
		return
	case !onlyArguments:
		l.program(words[0], text, where, line, "it is executed in the container")
	}
	for i, w := range words {
		if i+1 < len(words) && strings.HasPrefix(w, "-") && strings.HasSuffix(w, "c") && (onlyArguments || isShell(words[0])) {
			l.shell(words[i+1], where, line)
			return
		}
	}
}

func isShell(program string) bool {
	switch path.Base(program) {
	case "sh", "bash", "ash", "dash", "busybox":
		return true
	}
	return false
}

// program reports a decoy that the word names.
func (l *linter) program(word, text, where string, line int, why string) {
	word = strings.Trim(word, `"'`)
	for _, d := range l.decoys {
		if word != d.Name && !samePath(word, d.Path) {
			continue
		}
		key := fmt.Sprint(line, where, d.Name)
		if !l.seen[key] {
			l.seen[key] = true
			l.findings = append(l.findings, Finding{File: l.file, Line: line, Decoy: d.Name, Where: where, Text: shorten(text), Why: why})
		}
	}
}

// samePath follows the links of a merged /usr.
func samePath(word, planted string) bool {
	word = path.Clean(word)
	if strings.HasPrefix(word, "/bin/") || strings.HasPrefix(word, "/sbin/") {
		word = "/usr/bin/" + path.Base(word)
	}
	return word == planted
}

func shorten(text string) string {
	const most = 80
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
