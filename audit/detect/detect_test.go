package detect

import (
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{"github.com/hardstand/hardstand/audit": "kinds"})
}

func TestName(t *testing.T) {
	for name, want := range map[string]audit.Kind{
		"Dockerfile": audit.Dockerfile, "a/b/Dockerfile.prod": audit.Dockerfile, "api.dockerfile": audit.Dockerfile, "Containerfile": audit.Dockerfile,
		"dockerfile.go": "", "Dockerfile.md": "", "Dockerfile.dockerignore": "", "Dockerfile.tmpl": "", "x.yaml": "",
		".github/workflows/ci.yml": audit.Workflow, "sub/.github/workflows/ci.yaml": audit.Workflow, "workflows/ci.yml": "",
	} {
		if got := Name(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestContent(t *testing.T) {
	for text, want := range map[string]audit.Kind{
		"apiVersion: v1\nkind: Pod\n":                                        audit.Kubernetes,
		"# c\n---\napiVersion: v1\n\"kind\": Pod\n":                          audit.Kubernetes,
		"{\"apiVersion\": \"v1\", \"kind\": \"Pod\"}":                        audit.Kubernetes,
		"services:\n  a:\n    image: x\n":                                    audit.Compose,
		"on: push\njobs:\n  services: {}\n":                                  audit.Workflow,
		"[{\"Id\": \"x\", \"Config\": {}, \"HostConfig\": {}}]":              audit.Docker,
		"docker run --read-only x":                                           audit.Docker,
		"{\"family\": \"a\", \"containerDefinitions\": []}":                  audit.ECS,
		"{\"taskDefinition\": {}}":                                           audit.ECS,
		"[{\"name\": \"a\", \"image\": \"b\"}]":                              audit.ECS,
		"Resources:\n  T:\n    Type: AWS::ECS::TaskDefinition\n":             audit.ECS,
		"{\"Resources\": {\"T\": {\"Type\": \"AWS::ECS::TaskDefinition\"}}}": audit.ECS,
		"name: x\nversion: 1\n":                                              "", "": "", "[1, 2]": "", "{": "", "openapi: 3\nservices: x\n": "", "\xff\xfe": "",
	} {
		if got := Content([]byte(text)); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// TestHostileContent gives large and deep files: one look has to be enough.
func TestHostileContent(t *testing.T) {
	for name, text := range map[string]string{
		"deep":      strings.Repeat("[", 1<<20),
		"deep keys": strings.Repeat(`{"a":`, 1<<18),
		"keys":      strings.Repeat("a:\n", 1<<20),
		"line":      strings.Repeat("a", 4<<20),
	} {
		start := time.Now()
		Content([]byte(text))
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s took %v", name, d)
		}
	}
}

func FuzzContent(f *testing.F) {
	f.Add("a.yaml", []byte("apiVersion: v1\nkind: Pod\n"))
	f.Add("Dockerfile.x", []byte(`[{"HostConfig": {}, "Config": {}}]`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if Name(name) == audit.Workflow && !Structured(name) {
			t.Errorf("%q is a workflow and no YAML", name)
		}
		Content(data)
	})
}
