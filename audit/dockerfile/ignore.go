package dockerfile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

// checkDirective is BuildKit's "# check=skip=A,B;error=true".
type checkDirective struct {
	line int
	skip []string
	all  bool
}

func parseCheckDirective(value string, line int) checkDirective {
	d := checkDirective{line: line}
	for _, part := range strings.Split(value, ";") {
		key, list, _ := strings.Cut(strings.TrimSpace(part), "=")
		if key != "skip" {
			continue
		}
		for _, id := range strings.Split(list, ",") {
			id = strings.TrimSpace(id)
			d.all = d.all || id == "all"
			d.skip = append(d.skip, id)
		}
	}
	return d
}

// ignored is one ignore comment of any linter.
type ignored struct {
	audit.Ignore
	line       int // of the comment
	start, end int // of the instruction it is about; 0 with Global
	foreign    bool
}

// waive accepts findings by the comments of the file, and returns notes about
// comments that do not work.
func (f *file) waive(findings []audit.Finding, o Options) []string {
	list, notes := f.ignores(o)
	known := map[string]audit.Rule{}
	for _, r := range rules() {
		known[r.ID] = r.Rule
	}
	for i := range findings {
		fd := &findings[i]
		if fd.Verdict != audit.Fail && fd.Verdict != audit.Warn && fd.Verdict != audit.Unknown || fd.Waiver != nil {
			continue
		}
		for _, ig := range list {
			if !ig.covers(known[fd.Rule], *fd) {
				continue
			}
			source := fmt.Sprintf("%s:%d", f.artifact.Name, ig.line)
			if fd.Waive(ig.Reason, source, ig.Until, o.Now) {
				break
			}
			notes = append(notes, fmt.Sprintf("%s: the waiver of %s ran out on %s", source, fd.Rule, ig.Until.AddDate(0, 0, -1).Format("2006-01-02")))
		}
	}
	return notes
}

func (ig ignored) covers(r audit.Rule, fd audit.Finding) bool {
	if !ig.Global && (fd.Locator.StartLine < ig.start || fd.Locator.StartLine > ig.end) {
		return false
	}
	for _, id := range ig.IDs {
		if ig.foreign && fd.Alias != "" {
			// A finding that stands for one rule of a peer is not silenced
			// by the name of another that our rule also covers.
			if (audit.Rule{Aliases: []string{fd.Alias}}).Matches(id) {
				return true
			}
			continue
		}
		if r.Matches(id) {
			return true
		}
	}
	return false
}

// ignores collects the comments: those before an instruction hold for it, as
// hadolint, trivy and dockle have it.
func (f *file) ignores(o Options) ([]ignored, []string) {
	var list []ignored
	var notes []string
	if len(f.checks.skip) > 0 && !o.NoPragmas {
		ids := f.checks.skip
		if f.checks.all {
			ids = buildkitRules
		}
		list = append(list, ignored{Ignore: audit.Ignore{IDs: ids, Reason: "skipped by the file's check directive", Global: true}, line: f.checks.line, foreign: true})
	}
	for i, line := range f.lines {
		comment, ok := strings.CutPrefix(strings.TrimSpace(line), "#")
		if !ok || f.inHeredoc(i+1) {
			continue
		}
		if len(list)+len(notes) >= maxIgnores {
			return list, append(notes, fmt.Sprintf("%s: more than %d ignore comments; the rest does not count", f.artifact.Name, maxIgnores))
		}
		ig, ok, err := audit.ParseIgnore(comment)
		if err != nil {
			notes = append(notes, fmt.Sprintf("%s:%d: %v", f.artifact.Name, i+1, err))
			continue
		}
		found := ignored{Ignore: ig, line: i + 1}
		if !ok && !o.NoPragmas {
			found.Ignore, ok = foreignIgnore(comment)
			found.foreign = true
		}
		if !ok {
			continue
		}
		if !found.Global {
			found.start, found.end = f.governs(i + 1)
			if found.start == 0 {
				notes = append(notes, fmt.Sprintf("%s:%d: the ignore comment stands before no instruction", f.artifact.Name, i+1))
				continue
			}
		}
		for _, id := range found.IDs {
			if known := func(r rule) bool { return r.Matches(id) }; !found.foreign && strings.HasPrefix(strings.ToUpper(id), "CHG-") && !slices.ContainsFunc(rules(), known) {
				notes = append(notes, fmt.Sprintf("%s:%d: there is no rule %s for Dockerfiles, so nothing is waived by it", f.artifact.Name, i+1, id))
			}
		}
		list = append(list, found)
	}
	return list, notes
}

// inHeredoc reports whether a line belongs to a here-document.
func (f *file) inHeredoc(line int) bool {
	for _, in := range f.all {
		if line > in.start && line <= in.end && len(in.node.Heredocs) > 0 {
			return true
		}
	}
	return false
}

// governs returns the lines of the instruction that a comment is about: the
// one around it or the next one after it, with only comments and empty lines
// between.
func (f *file) governs(line int) (start, end int) {
	for _, in := range f.all {
		if in.end >= line {
			return in.start, in.end
		}
	}
	return 0, 0
}

// foreignIgnore reads the ignore comments of other linters:
//
//	# hadolint ignore=DL3008,DL3009
//	# hadolint global ignore=DL3008
//	# trivy:ignore:AVD-DS-0002
//	# dockle ignore=CIS-DI-0001 (dockle itself reads a file; people write this)
func foreignIgnore(comment string) (audit.Ignore, bool) {
	text := strings.TrimSpace(comment)
	ig := audit.Ignore{Reason: "ignored by a comment for another linter, which takes no reason"}
	var ids string
	switch {
	case strings.HasPrefix(text, "hadolint") || strings.HasPrefix(text, "dockle"):
		_, rest, _ := strings.Cut(text, " ")
		rest = strings.TrimSpace(rest)
		if after, ok := strings.CutPrefix(rest, "global "); ok {
			ig.Global, rest = true, strings.TrimSpace(after)
		}
		after, ok := strings.CutPrefix(rest, "ignore")
		if !ok {
			return ig, false
		}
		ids = strings.TrimPrefix(strings.TrimSpace(after), "=")
		ids, _, _ = strings.Cut(ids, "#")
	case strings.HasPrefix(text, "trivy:ignore:") || strings.HasPrefix(text, "tfsec:ignore:"):
		_, ids, _ = strings.Cut(text, "ignore:")
		ids, _, _ = strings.Cut(ids, " ")
		ids, _, _ = strings.Cut(ids, "[")
	default:
		return ig, false
	}
	for _, id := range strings.Split(ids, ",") {
		if id = strings.TrimSpace(id); id != "" {
			ig.IDs = append(ig.IDs, id)
		}
	}
	return ig, len(ig.IDs) > 0
}

// buildkitRules are the names that "skip=all" means.
var buildkitRules = []string{
	"StageNameCasing", "FromAsCasing", "NoEmptyContinuation", "ConsistentInstructionCasing", "DuplicateStageName", "ReservedStageName",
	"JSONArgsRecommended", "MaintainerDeprecated", "UndefinedArgInFrom", "WorkdirRelativePath", "UndefinedVar",
	"MultipleInstructionsDisallowed", "LegacyKeyValueFormat", "InvalidBaseImagePlatform", "RedundantTargetPlatform",
	"SecretsUsedInArgOrEnv", "InvalidDefaultArgInFrom", "FromPlatformFlagConstDisallowed", "CopyIgnoredFile",
	"InvalidDefinitionDescription", "ExposeProtoCasing", "ExposeInvalidFormat",
}
