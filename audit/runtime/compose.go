package runtime

import (
	"bytes"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

type composeFile struct {
	Name     string                    `yaml:"name"`
	Services map[string]composeService `yaml:"services"`
}

type composeService struct {
	Image       string         `yaml:"image"`
	User        string         `yaml:"user"`
	ReadOnly    bool           `yaml:"read_only"`
	CapDrop     []string       `yaml:"cap_drop"`
	SecurityOpt []string       `yaml:"security_opt"`
	Tmpfs       []string       `yaml:"tmpfs"`
	Memory      int64          `yaml:"mem_limit"`
	Swap        int64          `yaml:"memswap_limit"`
	CPUs        yaml.Node      `yaml:"cpus"`
	Processes   int            `yaml:"pids_limit"`
	Ulimits     map[string]int `yaml:"ulimits"`
	Restart     string         `yaml:"restart"`
	NetworkMode string         `yaml:"network_mode,omitempty"`
	Ports       []string       `yaml:"ports,omitempty"`
	Env         []string       `yaml:"environment"`
	Health      *composeHealth `yaml:"healthcheck,omitempty"`
}

type composeHealth struct {
	Test     []string `yaml:"test,flow"`
	Interval string   `yaml:"interval"`
	Timeout  string   `yaml:"timeout"`
	Start    string   `yaml:"start_period"`
	Retries  int      `yaml:"retries"`
}

// Compose writes a Compose file of one service.
func Compose(img Image, o Options) ([]byte, error) {
	p, err := prepare(img, o)
	if err == nil {
		err = p.pinned()
	}
	if err != nil {
		return nil, err
	}
	s := composeService{
		Image: literal(img.Reference), User: fmt.Sprintf("%d:%d", img.UID, img.GID), ReadOnly: true, CapDrop: []string{"ALL"},
		SecurityOpt: []string{"no-new-privileges:true"}, Memory: p.Memory, Swap: p.Memory,
		CPUs: yaml.Node{Kind: yaml.ScalarNode, Value: p.cpus()}, Processes: p.Processes,
		Ulimits: map[string]int{"nofile": 1024}, Restart: "on-failure:5", NetworkMode: p.Network,
	}
	if p.Seccomp != "" {
		s.SecurityOpt = append(s.SecurityOpt, "seccomp="+literal(p.Seccomp))
	}
	for _, dir := range p.Writable {
		s.Tmpfs = append(s.Tmpfs, literal(p.tmpfs(dir)))
	}
	for _, kv := range p.Env {
		s.Env = append(s.Env, literal(kv))
	}
	if p.Network != "none" && p.Network != "host" {
		for _, port := range p.Ports {
			s.Ports = append(s.Ports, fmt.Sprintf("127.0.0.1:%d:%s", port.Number, port))
		}
	}
	if len(p.health) > 0 {
		s.Health = &composeHealth{Test: []string{"CMD"}, Interval: "10s", Timeout: "4s", Start: "10s", Retries: 3}
		for _, word := range p.health {
			s.Health.Test = append(s.Health.Test, literal(word))
		}
	}
	return toYAML(composeFile{p.Name, map[string]composeService{p.Name: s}})
}

// literal keeps Compose from putting a variable in place of $NAME.
func literal(text string) string { return strings.ReplaceAll(text, "$", "$$") }

// toYAML writes documents with an indent of two.
func toYAML(documents ...any) ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	for _, d := range documents {
		if err := enc.Encode(d); err != nil {
			return nil, fmt.Errorf("write YAML: %w", err)
		}
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return out.Bytes(), nil
}
