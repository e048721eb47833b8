package dockerfile

import (
	"context"
	"errors"
	"fmt"
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
	edits := f.edits(res.Findings)
	if o.Resolve != nil {
		more, skipped := f.pin(ctx, o, res.Findings)
		edits, out.Skipped = append(edits, more...), skipped
	}
	lines := strings.SplitAfter(string(in.Data), "\n")
	for _, e := range edits {
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

func apply(lines []string, e edit) bool {
	for i := e.start; i <= e.end && i <= len(lines); i++ {
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
func (f *file) edits(findings []audit.Finding) []edit {
	var list []edit
	for _, fd := range findings {
		if !fd.Broken() || fd.Artifact.Kind != audit.Dockerfile {
			continue
		}
		for _, in := range f.all {
			if in.start == fd.Locator.StartLine && !in.onbuild {
				list = append(list, f.repair(in, fd)...)
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

func (f *file) repair(in *instr, fd audit.Finding) []edit {
	at := func(old *regexp.Regexp, new, what string) []edit {
		return []edit{{in.start, in.end, old, new, what}}
	}
	first := regexp.MustCompile(`(?i)^\s*(` + regexp.QuoteMeta(in.node.Value) + `)\b`)
	switch fd.Rule {
	case "CHG-1.1b":
		return f.repairCase(in, fd, first)
	case "CHG-1.1d":
		m, ok := in.cmd.(*instructions.MaintainerCommand)
		if ok && in.start == in.end && !strings.ContainsAny(m.Maintainer, "\"\\$") {
			return at(regexp.MustCompile(`^.*\S`), `LABEL org.opencontainers.image.authors="`+m.Maintainer+`"`, "MAINTAINER to LABEL")
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
			return at(regexp.MustCompile(`^.*\S`), text, in.name+" to JSON form")
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
		return at(word("apt"), "apt-get", "apt to apt-get")
	case "CHG-2.1a":
		add, ok := in.cmd.(*instructions.AddCommand)
		if ok && strings.HasPrefix(fd.Fix, "Replace ADD by COPY") && len(add.SourcePaths) == 1 {
			return at(first, map[bool]string{true: "copy", false: "COPY"}[in.node.Value == "add"], "ADD to COPY")
		}
	}
	return nil
}

func (f *file) repairCase(in *instr, fd audit.Finding, first *regexp.Regexp) []edit {
	switch fd.Alias {
	case "ConsistentInstructionCasing":
		return []edit{{in.start, in.start, first, fd.Expected, "instruction in one case"}}
	case "FromAsCasing":
		return []edit{{in.start, in.end, word(fd.Observed), fd.Expected, "AS like FROM"}}
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
	return []edit{{in.start, in.end, regexp.MustCompile(`^.*\S`), in.node.Value + " " + kv.Key + "=" + value, in.name + " with ="}}
}

// repairFlags adds the flags that package managers lack.
func (f *file) repairFlags(in *instr, fd audit.Finding) []edit {
	flag := map[string]string{
		"DL3014": " -y", "DL3015": " --no-install-recommends", "DL3019": " --no-cache", "DL3030": " -y", "DL3038": " -y", "DL3042": " --no-cache-dir",
	}[fd.Alias]
	if flag == "" {
		return nil
	}
	verb := map[string]string{"DL3019": `apk\s+(?:-\S+\s+)*add`, "DL3042": `pip3?\s+(?:-\S+\s+)*install`, "DL3030": `yum\s+(?:-\S+\s+)*install`, "DL3038": `t?dnf\s+(?:-\S+\s+)*install`}[fd.Alias]
	if verb == "" {
		verb = `apt(?:-get)?\s+(?:-\S+\s+)*install`
	}
	var list []edit
	// Each call in the instruction that lacks it: the pattern wants the verb
	// and puts the flag right behind it.
	old := regexp.MustCompile(`\b` + verb + `()(?:\s|$)`)
	list = append(list, edit{in.start, in.end, old, flag, strings.TrimSpace(flag) + " added"})
	return list
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
		list = append(list, edit{r.line, end, old, r.raw + "@" + digest, "digest of " + r.value})
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
