package lint

import (
	"encoding/json"
	"regexp"
	"strings"
)

// separators stand between the commands of a shell script, as far as it can
// be told without running it.
var separators = regexp.MustCompile("\\|\\||&&|[;|&\n`]|\\$\\(|[(){}]")

// before a program's name these say nothing.
var prefixes = map[string]bool{
	"if": true, "then": true, "else": true, "elif": true, "while": true, "until": true, "do": true, "!": true, "time": true,
	"exec": true, "nohup": true, "nice": true, "command": true, "xargs": true,
}

// shell reports every program that a script names.
func (l *linter) shell(script, where string, line int) {
	for _, part := range separators.Split(script, -1) {
		words := strings.Fields(part)
		for len(words) > 0 && (prefixes[words[0]] || strings.Contains(words[0], "=")) {
			words = words[1:]
		}
		if len(words) > 0 && words[0] == "timeout" {
			l.program("timeout", part, where, line, "the script runs it")
			words = words[min(2, len(words)):]
		}
		if len(words) > 0 {
			l.program(words[0], part, where, line, "the script runs it")
		}
	}
}

// dockerfile judges what is executed when an image is built on top or run.
func (l *linter) dockerfile(content string) {
	line, start := "", 0
	for i, text := range strings.Split(content, "\n") {
		if line == "" {
			start = i + 1
		}
		if rest, more := strings.CutSuffix(strings.TrimRight(text, " \t\r"), `\`); more {
			line += rest + " "
			continue
		}
		l.instruction(strings.TrimSpace(line+text), start)
		line = ""
	}
}

func (l *linter) instruction(text string, line int) {
	name, rest, _ := strings.Cut(text, " ")
	name = strings.ToUpper(name)
	rest = strings.TrimSpace(rest)
	switch name {
	case "HEALTHCHECK":
		at := strings.Index(rest, "CMD")
		if at < 0 {
			return
		}
		rest = strings.TrimSpace(rest[at+len("CMD"):])
	case "RUN", "CMD", "ENTRYPOINT":
	default:
		return
	}
	var words []string
	if json.Unmarshal([]byte(rest), &words) == nil {
		l.words(words, name, line, false)
		return
	}
	l.program("sh", text, name, line, "the shell form runs in a shell")
	l.shell(rest, name, line)
}

var (
	flowList  = regexp.MustCompile(`\b(command|args|entrypoint|test|entryPoint)"?\s*[:=]\s*(\[[^\]]*\])`)
	blockKey  = regexp.MustCompile(`^(\s*)-?\s*(command|args|entrypoint|test)\s*:\s*$`)
	blockItem = regexp.MustCompile(`^(\s*)-\s+(.*)$`)
)

// template judges a chart line by line: with its actions it is no YAML.
func (l *linter) template(content string) {
	lines := strings.Split(content, "\n")
	for i, text := range lines {
		for _, m := range flowList.FindAllStringSubmatch(text, -1) {
			var words []string
			for _, w := range strings.Split(strings.Trim(m[2], "[]"), ",") {
				words = append(words, strings.Trim(strings.TrimSpace(w), `"'`))
			}
			l.words(words, m[1], i+1, m[1] == "args")
		}
		if m := blockKey.FindStringSubmatch(text); m != nil {
			var words []string
			for _, item := range lines[i+1:] {
				w := blockItem.FindStringSubmatch(item)
				if w == nil || len(w[1]) < len(m[1]) {
					break
				}
				words = append(words, strings.Trim(strings.TrimSpace(w[2]), `"'`))
			}
			l.words(words, m[2], i+1, m[2] == "args")
		}
	}
}

var (
	kubectlCopy = regexp.MustCompile(`\b(kubectl|oc)\b[^;|&]*\s(cp|rsync)\s`)
	kubectlExec = regexp.MustCompile(`\b(?:kubectl|oc)\b[^;|&]*\sexec\s[^;|&]*?\s--\s+(.*)`)
	kubectlOld  = regexp.MustCompile(`\b(?:kubectl|oc)\b[^;|&]*\sexec\s+([^;|&]*)`)
	dockerExec  = regexp.MustCompile(`\b(?:docker|podman|nerdctl|compose)\s+exec\s+(.*)`)
	healthFlag  = regexp.MustCompile(`(--health-cmd|--entrypoint)[= ]("[^"]*"|'[^']*'|\S+)`)
	quadletKey  = regexp.MustCompile(`^\s*(HealthCmd|Entrypoint)\s*=\s*(.*)$`)
)

// script judges commands that act on a running container. line is how many
// lines of the file stand before it.
func (l *linter) script(content string, line int) {
	for i, text := range strings.Split(content, "\n") {
		if strings.HasPrefix(strings.TrimSpace(text), "#") {
			continue
		}
		at := line + i + 1
		if kubectlCopy.MatchString(text + " ") {
			l.program("tar", text, "kubectl cp", at, "kubectl cp runs tar in the container")
		}
		if m := kubectlExec.FindStringSubmatch(text); m != nil {
			l.words(unquoted(m[1]), "kubectl exec", at, false)
		} else if m := kubectlOld.FindStringSubmatch(text); m != nil {
			l.words(afterContainer(unquoted(m[1])), "kubectl exec", at, false)
		}
		if m := dockerExec.FindStringSubmatch(text); m != nil {
			l.words(afterContainer(unquoted(m[1])), "docker exec", at, false)
		}
		for _, m := range healthFlag.FindAllStringSubmatch(text, -1) {
			l.started(m[1], strings.Trim(m[2], `"'`), at)
		}
		if m := quadletKey.FindStringSubmatch(text); m != nil {
			l.started(m[1], m[2], at)
		}
	}
}

// started is a command that an engine is told to run in the container. A health
// command is a shell's unless it is a JSON list.
func (l *linter) started(where, command string, line int) {
	var words []string
	if json.Unmarshal([]byte(command), &words) == nil {
		l.words(words, where, line, false)
		return
	}
	if where == "--health-cmd" || where == "HealthCmd" {
		if command == "none" {
			return
		}
		l.program("sh", command, where, line, "a health command given as one string runs in a shell")
	}
	l.shell(command, where, line)
}

// tiltfile: live_update synchronises files with tar and runs commands.
func (l *linter) tiltfile(content string) {
	call := regexp.MustCompile(`\b(sync|run)\(\s*("[^"]*"|'[^']*')`)
	for i, text := range strings.Split(content, "\n") {
		for _, m := range call.FindAllStringSubmatch(text, -1) {
			if m[1] == "sync" {
				l.program("tar", text, "sync", i+1, "Tilt runs tar in the container to synchronise files")
				continue
			}
			l.program("sh", text, "run", i+1, "Tilt runs it in a shell in the container")
			l.shell(strings.Trim(m[2], `"'`), "run", i+1)
		}
	}
}

// unquoted splits a command line; quotes group words.
func unquoted(line string) []string {
	var words []string
	for _, m := range regexp.MustCompile(`"([^"]*)"|'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
		words = append(words, m[1]+m[2]+m[3])
	}
	return words
}

// afterContainer drops the options and the container's name of docker exec and
// of kubectl exec without "--".
func afterContainer(words []string) []string {
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case w == "-u" || w == "-w" || w == "-e" || w == "--user" || w == "--workdir" || w == "--env" || w == "--env-file" || w == "--index" ||
			w == "-n" || w == "--namespace" || w == "-c" || w == "--container":
			i++
		case strings.HasPrefix(w, "-"):
		default:
			return words[i+1:]
		}
	}
	return nil
}
