package workflow

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/hardstand/hardstand/audit"
)

var rule41a = rule{audit.Rule{
	ID: "CHG-4.1a", Title: "Images are rebuilt by a schedule", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Workflow},
	Why:      "An image that nobody changes still needs the fixes of its base and its compiler.",
	Fix:      "Add to the workflow: on: {schedule: [{cron: \"17 4 * * 1\"}]}.",
	Evidence: "the schedule, or the step that builds an image without one",
}, func(c *check) {
	c.method = "triggers and steps of the workflow"
	step, line := c.buildsImage()
	schedule := child(child(c.root, "on"), "schedule")
	if schedule == nil {
		schedule = child(child(c.root, "true"), "schedule")
	}
	switch {
	case step == "":
		c.add(audit.Finding{Verdict: audit.NotApplicable, Reason: "the workflow builds no image"})
	case schedule != nil:
		c.held = fmt.Sprintf("a schedule on line %d", schedule.Line)
	case c.in.Scheduled:
		c.held = "another workflow of the repository that builds images has a schedule"
	default:
		c.add(audit.Finding{Verdict: audit.Warn, Locator: c.at(line, ""), Observed: step + ", and nothing but a change starts it", Expected: "a schedule among the triggers"})
	}
}}

// buildsImage finds the step that builds an image.
func (c *check) buildsImage() (what string, at *yaml.Node) {
	fields(child(c.root, "jobs"), func(_ string, job *yaml.Node) {
		list := child(job, "steps")
		if list == nil || list.Kind != yaml.SequenceNode || at != nil {
			return
		}
		for _, step := range list.Content {
			if uses := child(step, "uses"); uses != nil && buildAction(uses.Value) {
				what, at = uses.Value+" builds an image", uses
				return
			}
			if run := child(step, "run"); run != nil {
				if cmd := buildCommand(run.Value); cmd != "" {
					what, at = cmd+" builds an image", run
					return
				}
			}
		}
	})
	return what, at
}

func buildAction(uses string) bool {
	name, _, _ := strings.Cut(uses, "@")
	switch name {
	case "docker/build-push-action", "docker/bake-action", "redhat-actions/buildah-build", "ko-build/setup-ko", "depot/build-push-action":
		return true
	}
	return false
}

func buildCommand(script string) string {
	for _, cmd := range []string{"docker build ", "docker buildx build", "docker buildx bake", "podman build", "buildah bud", "buildah build", "ko build", "hardstand publish", "hardstand build", "docker compose build", "pack build", "kaniko"} {
		for line := range strings.Lines(script) {
			line = strings.TrimSpace(line)
			word, _, _ := strings.Cut(line, " ")
			if strings.HasPrefix(strings.TrimPrefix(line, word[:strings.LastIndex(word, "/")+1]), cmd) {
				return strings.TrimSpace(cmd)
			}
		}
	}
	return ""
}

// Scheduled reports whether a workflow builds images by a schedule.
func Scheduled(data []byte) bool {
	root, err := Parse(data)
	if err != nil {
		return false
	}
	c := &check{root: root}
	what, _ := c.buildsImage()
	on := child(root, "on")
	return what != "" && child(on, "schedule") != nil
}
