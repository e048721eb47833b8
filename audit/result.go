package audit

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// SchemaID names the shape of a Report as JSON.
const SchemaID = "https://github.com/hardstand/hardstand/blob/main/docs/audit-report.schema.json"

// Tool says who judged.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Report is everything one run found.
type Report struct {
	Schema    string          `json:"$schema"`
	Tool      Tool            `json:"tool"`
	RuleSet   int             `json:"ruleSet"` // the set that decided what may fail
	Time      time.Time       `json:"time"`
	Artifacts []Artifact      `json:"artifacts"`
	Summary   map[Verdict]int `json:"summary"` // all five, also those that are 0; waived findings are not in it
	Waived    int             `json:"waived"`
	Stages    []StageScore    `json:"stages"`
	Rules     []Rule          `json:"rules"` // those that findings name
	Findings  []Finding       `json:"findings"`
	Notes     []string        `json:"notes,omitempty"` // what the reader should know: expired waivers, skipped files
}

// StageScore says how much of a stage holds.
type StageScore struct {
	Stage      string      `json:"stage"`
	Title      string      `json:"title"`
	Points     int         `json:"points"`     // 2 for a step that passes, 1 for one that warns
	Applicable int         `json:"applicable"` // points possible: 2 for every step that is not n/a
	Steps      []StepScore `json:"steps"`
}

// Percent is Points of Applicable, rounded down, or -1 where nothing applies.
func (s StageScore) Percent() int {
	if s.Applicable == 0 {
		return -1
	}
	return 100 * s.Points / s.Applicable
}

// StepScore is the worst verdict about a step over everything audited. A step
// about which nothing was said is unknown, and Needs names what would say it.
type StepScore struct {
	Step    string  `json:"step"`
	Title   string  `json:"title"`
	Verdict Verdict `json:"verdict"`
	Needs   string  `json:"needs,omitempty"`
	Broken  int     `json:"broken"` // findings that stand
}

// NewReport puts findings in order and counts them. Rules are all rules that
// may be named; those not named are left out of the report.
func NewReport(tool Tool, ruleSet int, now time.Time, artifacts []Artifact, rules []Rule, findings []Finding, notes []string) Report {
	known := map[string]Rule{}
	for _, r := range rules {
		known[r.ID] = r
	}
	r := Report{
		Schema: SchemaID, Tool: tool, RuleSet: ruleSet, Time: now.UTC(),
		Artifacts: slices.Clone(artifacts), Summary: map[Verdict]int{}, Rules: []Rule{}, Findings: slices.Clone(findings), Notes: notes,
	}
	if r.Artifacts == nil {
		r.Artifacts = []Artifact{}
	}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	named := map[string]bool{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if rule, ok := known[f.Rule]; ok {
			f.Severity = cmp.Or(f.Severity, rule.Severity)
			f.Fix = cmp.Or(f.Fix, rule.Fix)
			if rule.Since > ruleSet && f.Verdict == Fail {
				f.Verdict = Warn
			}
			if !named[rule.ID] {
				named[rule.ID] = true
				r.Rules = append(r.Rules, rule)
			}
		}
	}
	slices.SortFunc(r.Rules, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	SortFindings(r.Findings)
	r.count()
	return r
}

// SortFindings puts findings in the order of reports: by step, rule, artefact
// and place, so that the same inputs give the same bytes.
func SortFindings(list []Finding) {
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Or(
			strings.Compare(a.Rule, b.Rule),
			strings.Compare(a.Artifact.Name, b.Artifact.Name),
			strings.Compare(a.Locator.Path, b.Locator.Path),
			cmp.Compare(a.Locator.StartLine, b.Locator.StartLine),
			strings.Compare(a.Locator.Pointer, b.Locator.Pointer),
			strings.Compare(a.Locator.Layer, b.Locator.Layer),
			strings.Compare(a.Locator.File, b.Locator.File),
			strings.Compare(a.Observed, b.Observed),
		)
	})
}

func (r *Report) count() {
	for _, v := range Verdicts {
		r.Summary[v] = 0
	}
	worst, broken := map[string]Verdict{}, map[string]int{}
	needs := map[string]string{}
	for _, f := range r.Findings {
		step := StepOf(f.Rule)
		if f.Waiver != nil {
			r.Waived++
			// What somebody accepted is not thereby right.
			worst[step] = WorstOf(worst[step], Warn)
			continue
		}
		r.Summary[f.Verdict]++
		worst[step] = WorstOf(worst[step], f.Verdict)
		if f.Broken() {
			broken[step]++
		}
		if f.Verdict == Unknown && needs[step] == "" {
			needs[step] = f.Needs
		}
	}
	for _, stage := range []string{"1", "2", "3", "4"} {
		s := StageScore{Stage: stage, Title: StageTitles[stage]}
		for _, step := range Steps {
			if step.Stage() != stage {
				continue
			}
			score := StepScore{Step: step.Number, Title: step.Title, Verdict: worst[step.Number], Broken: broken[step.Number]}
			if score.Verdict == "" {
				score.Verdict, score.Needs = Unknown, needed(step)
			} else if score.Verdict == Unknown {
				score.Needs = needs[step.Number]
			}
			switch score.Verdict {
			case Pass:
				s.Points += 2
			case Warn:
				s.Points++
			}
			if score.Verdict != NotApplicable {
				s.Applicable += 2
			}
			s.Steps = append(s.Steps, score)
		}
		r.Stages = append(r.Stages, s)
	}
}

// needed names the artefacts that would say something about a step.
func needed(s Step) string {
	var labels []string
	for _, k := range s.Kinds {
		labels = append(labels, k.Label())
	}
	text := strings.Join(labels, ", ")
	if s.Person != "" {
		text += "; or " + s.Person
	}
	return text
}

// Broken counts the findings of at least a severity that stand and failed.
func (r Report) Broken(from Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Waiver == nil && f.Verdict == Fail && f.Severity.Rank() >= from.Rank() {
			n++
		}
	}
	return n
}
