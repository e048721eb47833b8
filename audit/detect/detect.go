// Package detect tells what kind of artefact a file is, by its name and by a
// look at its outermost keys. It parses nothing whole, so that a hostile file
// costs no more than reading it once.
package detect

import (
	"bytes"
	"encoding/json"
	"path"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

// Name returns the kind that a path alone shows, or "".
func Name(p string) audit.Kind {
	base := strings.ToLower(path.Base(p))
	ext := path.Ext(base)
	switch {
	case strings.HasSuffix(base, ".dockerignore"):
		return ""
	case base == "dockerfile" || base == "containerfile" || ext == ".dockerfile" || ext == ".containerfile",
		(strings.HasPrefix(base, "dockerfile.") || strings.HasPrefix(base, "containerfile.")) && !sourceFile[ext]:
		return audit.Dockerfile
	case (ext == ".yml" || ext == ".yaml") && workflowDir(p):
		return audit.Workflow
	}
	return ""
}

// sourceFile are extensions of files about Dockerfiles that are none.
var sourceFile = map[string]bool{
	".go": true, ".py": true, ".js": true, ".ts": true, ".rb": true, ".java": true, ".rs": true, ".c": true, ".sh": true, ".lua": true, ".vim": true,
	".md": true, ".txt": true, ".rst": true, ".adoc": true, ".html": true, ".json": true, ".yaml": true, ".yml": true, ".toml": true, ".xml": true,
	".tmpl": true, ".j2": true, ".erb": true, ".mustache": true, ".in": true, ".bak": true, ".orig": true, ".swp": true, ".snap": true, ".golden": true,
}

func workflowDir(p string) bool {
	dir := path.Dir(p)
	return strings.HasSuffix(dir, ".github/workflows") || strings.HasSuffix(dir, ".gitea/workflows") || strings.HasSuffix(dir, ".forgejo/workflows")
}

// Structured reports whether a file's content is worth a look: YAML or JSON.
func Structured(p string) bool {
	switch path.Ext(strings.ToLower(p)) {
	case ".yml", ".yaml", ".json":
		return true
	}
	return false
}

// Content returns the kind that the outermost keys of a YAML or JSON file
// show, or "".
func Content(data []byte) audit.Kind {
	trimmed := bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF")), " \t\r\n")
	if len(trimmed) == 0 {
		return ""
	}
	if trimmed[0] == '{' || trimmed[0] == '[' {
		return fromJSON(trimmed)
	}
	if bytes.HasPrefix(trimmed, []byte("docker run ")) || bytes.HasPrefix(trimmed, []byte("docker container run ")) {
		return audit.Docker
	}
	return fromYAML(trimmed)
}

func fromYAML(data []byte) audit.Kind {
	keys := map[string]bool{}
	for line := range bytes.Lines(data) {
		if len(line) == 0 || line[0] == ' ' || line[0] == '#' || line[0] == '-' || line[0] == '\t' {
			continue
		}
		key, _, ok := bytes.Cut(line, []byte(":"))
		if ok && len(key) < 64 && len(keys) < 1000 {
			keys[strings.Trim(string(key), `"' `)] = true
		}
	}
	kind := decide(keys)
	if kind == "" && keys["Resources"] && bytes.Contains(data, []byte("AWS::ECS::TaskDefinition")) {
		return audit.ECS
	}
	return kind
}

func decide(keys map[string]bool) audit.Kind {
	switch {
	case keys["apiVersion"] && keys["kind"]:
		return audit.Kubernetes
	case keys["jobs"] && (keys["on"] || keys["true"]):
		return audit.Workflow
	case keys["services"] && !keys["jobs"] && !keys["swagger"] && !keys["openapi"]:
		return audit.Compose
	case keys["containerDefinitions"] || keys["taskDefinition"] || keys["ContainerDefinitions"]:
		return audit.ECS
	case keys["HostConfig"] && keys["Config"]:
		return audit.Docker
	}
	return ""
}

// fromJSON collects the keys of the outermost object, or of the first element
// of the outermost array.
func fromJSON(data []byte) audit.Kind {
	dec := json.NewDecoder(bytes.NewReader(data))
	open, err := dec.Token()
	if err != nil {
		return ""
	}
	inArray := open == json.Delim('[')
	if inArray {
		if open, err = dec.Token(); err != nil || open != json.Delim('{') {
			return ""
		}
	}
	keys := map[string]bool{}
	for dec.More() && len(keys) < 1000 {
		key, err := dec.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			break
		}
		keys[name] = true
		var skip json.RawMessage
		if err := dec.Decode(&skip); err != nil {
			break
		}
	}
	if kind := decide(keys); kind != "" {
		return kind
	}
	switch {
	case keys["Resources"] && bytes.Contains(data, []byte("AWS::ECS::TaskDefinition")):
		return audit.ECS
	case inArray && keys["image"] && keys["name"]:
		return audit.ECS // a bare array of container definitions
	}
	return ""
}
