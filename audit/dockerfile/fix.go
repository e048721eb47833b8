package dockerfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

// FixOptions say what Fix may do.
type FixOptions struct {
	Options
	// Resolve finds the digest of a reference ("sha256:..."). Nil: tags stay
	// as they are.
	Resolve func(ctx context.Context, reference string) (string, error)
}

// Fixed is a repaired Dockerfile.
type Fixed struct {
	Data    []byte
	Applied []string // one line for each repair
	Skipped []string // what could not be repaired, and why
}

// edit changes the first match of a pattern in the lines of an instruction.
type edit struct {
	start, end int
	old        *regexp.Regexp
	new        string // literal
	what       string
	// same says whether the commands of the instruction are as they were but
	// for what was meant to change. With it every match is tried, and kept
	// where it holds; without it the first match is changed.
	same func(before, after []call) bool
}

// Fix repairs what can be repaired without understanding the program: it
// changes words and flags, never what is built. The result parses and names
// the same stages, or nothing is changed. Lines with a waiver stay.
func Fix(ctx context.Context, in Input, o FixOptions) (Fixed, error) {
	if len(in.Data) > MaxSize {
		return Fixed{}, ErrTooLarge
	}
	f := parse(audit.Artifact{Kind: audit.Dockerfile, Name: in.Name}, in.Data, o.Target, o.Args)
	res, err := Audit(ctx, in, o.Options)
	if err != nil {
		return Fixed{}, err
	}
	out := Fixed{Data: in.Data}
	edits := f.edits(res.Findings, in.Context)
	if o.Resolve != nil {
		more, skipped := f.pin(ctx, o, res.Findings)
		edits, out.Skipped = append(edits, more...), skipped
	}
	lines := strings.SplitAfter(string(in.Data), "\n")
	tries := 0
	for _, e := range edits {
		if e.same != nil {
			if n := f.tryEach(lines, e, o, &tries); n > 0 {
				out.Applied = append(out.Applied, fmt.Sprintf("line %d: %s", e.start, e.what))
			}
			continue
		}
		if apply(lines, e) {
			out.Applied = append(out.Applied, fmt.Sprintf("line %d: %s", e.start, e.what))
		}
	}
	if len(out.Applied) == 0 {
		return out, nil
	}
	fixed := []byte(strings.Join(lines, ""))
	after := parse(audit.Artifact{Kind: audit.Dockerfile, Name: in.Name}, fixed, o.Target, o.Args)
	if len(after.problems) > len(f.problems) || len(after.all) != len(f.all) || len(after.stages) != len(f.stages) {
		return Fixed{}, errors.New("fix Dockerfile: the result would not parse as before, so nothing was changed")
	}
	out.Data = fixed
	return out, nil
}

// maxTries bounds how often a file is parsed to see what an edit does.
const maxTries = 300

// tryEach makes an edit wherever it changes what it is meant to change, and
// nothing in a comment, a string or another command. It returns how often.
func (f *file) tryEach(lines []string, e edit, o FixOptions, tries *int) int {
	made := 0
	read := func() []call {
		g := parse(f.artifact, []byte(strings.Join(lines, "")), o.Target, o.Args)
		var list []call
		for _, in := range g.all {
			if in.start == e.start && in.stage != nil {
				list = append(list, g.calls(in)...)
			}
		}
		return list
	}
	before := read()
	for i := e.start; i <= e.end && i <= len(lines); i++ {
		for at := 0; at < len(lines[i-1]); {
			where := e.old.FindStringSubmatchIndex(lines[i-1][at:])
			if where == nil || *tries >= maxTries {
				break
			}
			*tries++
			from, to, was := at+where[2], at+where[3], lines[i-1]
			lines[i-1] = was[:from] + e.new + was[to:]
			after := read()
			if !e.same(before, after) {
				lines[i-1], at = was, max(to, from+1)
				continue
			}
			before, made, at = after, made+1, from+len(e.new)
		}
	}
	return made
}

// oneChange returns the single pair of commands that differ, of lists that are
// otherwise equal. Commands that run another, whose words hold the other's,
// do not count.
func oneChange(before, after []call) (was, is call, ok bool) {
	direct := func(list []call) []call {
		return slices.DeleteFunc(slices.Clone(list), func(c call) bool {
			_, wraps := unwrap(c)
			return wraps || isShell(c.name)
		})
	}
	before, after = direct(before), direct(after)
	if len(before) != len(after) {
		return was, is, false
	}
	changes := 0
	for i := range before {
		if before[i].name != after[i].name || !slices.Equal(before[i].args, after[i].args) || !slices.Equal(before[i].out, after[i].out) {
			was, is, changes = before[i], after[i], changes+1
		}
	}
	return was, is, changes == 1
}

func apply(lines []string, e edit) bool {
	for i := e.start; i <= e.end && i <= len(lines); i++ {
		if i > e.start && strings.HasPrefix(strings.TrimSpace(lines[i-1]), "#") {
			continue // a comment inside the instruction
		}
		where := e.old.FindStringSubmatchIndex(lines[i-1])
		if where == nil {
			continue
		}
		from, to := where[0], where[1]
		if len(where) >= 4 && where[2] >= 0 {
			from, to = where[2], where[3]
		}
		lines[i-1] = lines[i-1][:from] + e.new + lines[i-1][to:]
		return true
	}
	return false
}

// edits collects the repairs of findings that stand.
func (f *file) edits(findings []audit.Finding, context fs.FS) []edit {
	var list []edit
	for _, fd := range findings {
		if !fd.Broken() || fd.Artifact.Kind != audit.Dockerfile {
			continue
		}
		for _, in := range f.all {
			if in.start == fd.Locator.StartLine && !in.onbuild {
				list = append(list, f.repair(in, fd, context)...)
				break
			}
		}
	}
	return list
}

// quoted matches text as it stands.
func quoted(text string) *regexp.Regexp { return regexp.MustCompile(regexp.QuoteMeta(text)) }

// word matches a word after white space or at the beginning; the word is the
// group that is replaced.
func word(text string) *regexp.Regexp {
	return regexp.MustCompile(`(?:^|\s)(` + regexp.QuoteMeta(text) + `)(?:\s|$)`)
}

func (f *file) repair(in *instr, fd audit.Finding, context fs.FS) []edit {
	at := func(old *regexp.Regexp, new, what string) []edit {
		return []edit{{start: in.start, end: in.end, old: old, new: new, what: what}}
	}
	first := regexp.MustCompile(`(?i)^\s*(` + regexp.QuoteMeta(in.node.Value) + `)\b`)
	switch fd.Rule {
	case "CHG-1.1b":
		return f.repairCase(in, fd, first)
	case "CHG-1.1d":
		m, ok := in.cmd.(*instructions.MaintainerCommand)
		if ok && in.start == in.end && !strings.ContainsAny(m.Maintainer, "\"\\$") {
			return at(wholeLine, `LABEL org.opencontainers.image.authors="`+m.Maintainer+`"`, "MAINTAINER to LABEL")
		}
	case "CHG-1.1e":
		if env, ok := in.cmd.(*instructions.EnvCommand); ok && in.start == in.end && len(env.Env) == 1 {
			return legacyPair(in, env.Env[0])
		}
		if label, ok := in.cmd.(*instructions.LabelCommand); ok && in.start == in.end && len(label.Labels) == 1 {
			return legacyPair(in, label.Labels[0])
		}
	case "CHG-1.1f":
		if text := fd.Fix; strings.HasPrefix(text, in.name+" [") && !strings.Contains(text, "[redacted]") && in.start == in.end {
			return at(wholeLine, text, in.name+" to JSON form")
		}
	case "CHG-1.1k":
		if fd.Alias == "RedundantTargetPlatform" {
			return at(regexp.MustCompile(`\s--platform=\$\{?TARGETPLATFORM\}?`), "", "redundant --platform removed")
		}
	case "CHG-1.1m":
		if fd.Alias == "ExposeProtoCasing" {
			port := strings.TrimPrefix(fd.Observed, "EXPOSE ")
			return at(quoted(port), strings.ToLower(port), "protocol in lower case")
		}
	case "CHG-1.1s":
		return f.repairFlags(in, fd)
	case "CHG-1.1v":
		return f.repairApt(in)
	case "CHG-2.1a":
		add, ok := in.cmd.(*instructions.AddCommand)
		if ok && strings.HasPrefix(fd.Fix, "Replace ADD by COPY") && len(add.SourcePaths) == 1 && add.Checksum == "" && !f.fetched(add.SourcePaths[0], in) && !packed(context, add.SourcePaths[0]) {
			return at(first, map[bool]string{true: "copy", false: "COPY"}[in.node.Value == "add"], "ADD to COPY")
		}
	}
	return nil
}

func (f *file) repairCase(in *instr, fd audit.Finding, first *regexp.Regexp) []edit {
	switch fd.Alias {
	case "ConsistentInstructionCasing":
		return []edit{{start: in.start, end: in.start, old: first, new: fd.Expected, what: "instruction in one case"}}
	case "FromAsCasing":
		return []edit{{start: in.start, end: in.end, old: word(fd.Observed), new: fd.Expected, what: "AS like FROM"}}
	}
	return nil
}

func legacyPair(in *instr, kv instructions.KeyValuePair) []edit {
	if strings.ContainsAny(kv.Value, "\"\\`'") || strings.Contains(kv.Key, "\"") {
		return nil
	}
	value := kv.Value
	if value == "" || strings.ContainsAny(value, " \t") {
		value = `"` + value + `"`
	}
	return []edit{{start: in.start, end: in.end, old: wholeLine, new: in.node.Value + " " + kv.Key + "=" + value, what: in.name + " with ="}}
}

// wholeLine is a line without the white space around it.
var wholeLine = regexp.MustCompile(`^\s*(\S(?:.*\S)?)`)

// aptVerbs are the commands of apt that apt-get has too.
var aptVerbs = map[string]bool{
	"install": true, "update": true, "upgrade": true, "remove": true, "purge": true, "autoremove": true, "clean": true, "autoclean": true,
	"dist-upgrade": true, "download": true, "source": true, "build-dep": true,
}

func (f *file) repairApt(in *instr) []edit {
	return []edit{{
		start: in.start, end: in.end, old: regexp.MustCompile(`\b(apt)(?:\s|$)`), new: "apt-get", what: "apt to apt-get",
		same: func(before, after []call) bool {
			was, is, ok := oneChange(before, after)
			verb, _ := was.sub()
			return ok && was.name == "apt" && is.name == "apt-get" && aptVerbs[verb] && slices.Equal(was.args, is.args)
		},
	}}
}

// fetched reports whether ADD may download a source, as far as the file shows.
func (f *file) fetched(src string, in *instr) bool {
	expanded := f.expand(src, environment(in.stage.env))
	return strings.Contains(expanded, "$") || remoteSource(expanded)
}

// packed reports whether ADD may unpack a source of the context, which it
// decides by the content. Without the context the name decides.
func packed(context fs.FS, src string) bool {
	name := strings.TrimPrefix(path.Clean("/"+src), "/")
	if strings.ContainsAny(name, "$[") || context == nil && !strings.Contains(path.Base(name), ".") && !strings.HasSuffix(src, "/") && name != "" {
		return true
	}
	switch path.Ext(strings.ToLower(name)) {
	case ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".tbz2", ".xz", ".txz", ".zst", ".tzst", ".z", ".lzma", ".tlz":
		return true
	}
	if context == nil || name == "" {
		return false
	}
	names, err := fs.Glob(context, name)
	if err != nil || len(names) == 0 || len(names) > maxPacked {
		return true
	}
	return slices.ContainsFunc(names, func(n string) bool { return archiveContent(context, n) })
}

// maxPacked bounds the files whose beginning is read for one ADD.
const maxPacked = 1000

// archiveContent reports whether a file begins like a tar archive or something
// compressed, or cannot be read. A directory does not.
func archiveContent(context fs.FS, name string) bool {
	info, err := fs.Stat(context, name)
	if err != nil || info.IsDir() {
		return err != nil
	}
	if !info.Mode().IsRegular() {
		return true
	}
	file, err := openRegular(context, name)
	if err != nil {
		return true
	}
	defer func() { _ = file.Close() }()
	head := make([]byte, 512)
	n, err := io.ReadFull(file, head)
	if head = head[:n]; err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	for _, magic := range []string{"\x1f\x8b", "BZh", "\xfd7zXZ", "\x28\xb5\x2f\xfd"} {
		if strings.HasPrefix(string(head), magic) {
			return true
		}
	}
	return len(head) >= 262 && string(head[257:262]) == "ustar"
}

// repairFlags adds the flags that package managers lack.
func (f *file) repairFlags(in *instr, fd audit.Finding) []edit {
	flag := map[string]string{
		"DL3014": " -y", "DL3015": " --no-install-recommends", "DL3019": " --no-cache", "DL3030": " -y", "DL3038": " -y", "DL3042": " --no-cache-dir",
	}[fd.Alias]
	if flag == "" {
		return nil
	}
	programs := map[string]string{"DL3019": `apk`, "DL3042": `pip3?`, "DL3030": `yum`, "DL3038": `t?dnf`}[fd.Alias]
	if programs == "" {
		programs = `apt(?:-get)?|aptitude`
	}
	verb := map[bool]string{true: "add", false: "install"}[fd.Alias == "DL3019"]
	word := strings.TrimSpace(flag)
	return []edit{{
		start: in.start, end: in.end, new: flag, what: word + " added",
		old: regexp.MustCompile(`\b(?:` + programs + `)\s(?:[^&|;]*?\s)?` + verb + `()(?:\s|$)`),
		same: func(before, after []call) bool {
			was, is, ok := oneChange(before, after)
			if sub, _ := was.sub(); sub != verb && !(sub == "pip" && was.has("-m")) {
				return false
			}
			if !ok || was.name != is.name || len(is.args) != len(was.args)+1 || was.has(word) || word == "-y" && was.yes() {
				return false
			}
			i := slices.Index(is.args, word)
			return i > 0 && is.args[i-1] == verb && slices.Equal(slices.Delete(slices.Clone(is.args), i, i+1), was.args)
		},
	}}
}

// pin adds digests to references that have none.
func (f *file) pin(ctx context.Context, o FixOptions, findings []audit.Finding) (list []edit, skipped []string) {
	broken := map[int]bool{}
	for _, fd := range findings {
		if fd.Rule == "CHG-2.3a" && fd.Broken() {
			broken[fd.Locator.StartLine] = true
		}
	}
	digests := map[string]string{}
	for _, r := range f.references() {
		n := parseImage(r.value)
		if !broken[r.line] || n.digest != "" {
			continue
		}
		if !r.tagPos {
			skipped = append(skipped, fmt.Sprintf("line %d: %s is built from arguments; put the digest into the argument", r.line, r.raw))
			continue
		}
		digest, ok := digests[r.value]
		if !ok {
			var err error
			if digest, err = o.Resolve(ctx, r.value); err != nil {
				skipped = append(skipped, fmt.Sprintf("line %d: resolve %s: %v", r.line, r.value, err))
				continue
			}
			if !digestShape().MatchString(digest) {
				skipped = append(skipped, fmt.Sprintf("line %d: resolve %s: %q is no digest", r.line, r.value, digest))
				continue
			}
			digests[r.value] = digest
		}
		end := r.line
		if r.in != nil {
			end = r.in.end
		}
		old := regexp.MustCompile(`(?:^|[\s=,])(` + regexp.QuoteMeta(r.raw) + `)(?:[\s,]|$)`)
		list = append(list, edit{start: r.line, end: end, old: old, new: r.raw + "@" + digest, what: "digest of " + r.value})
	}
	slices.Sort(skipped)
	return list, skipped
}

// Sources lists the paths that a Dockerfile takes from its context, to find
// out where that is. A file that cannot be read takes nothing.
func Sources(data []byte) []string {
	if len(data) > MaxSize {
		return nil
	}
	c := &check{file: parse(audit.Artifact{}, data, "", nil)}
	return c.wanted()
}
