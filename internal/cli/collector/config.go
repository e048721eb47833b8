package collector

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"gopkg.in/yaml.v3"

	"github.com/hardstand/hardstand/canary/collector/outbox"
	"github.com/hardstand/hardstand/canary/collector/sink"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/internal/cli"
)

// config is the file that --config names.
type config struct {
	sink.Section `yaml:",inline"`
	Dashboard    dashboardConfig   `yaml:"dashboard"`
	Credentials  credentialsConfig `yaml:"credentials"`
}

// readConfig reads the file; unknown keys are errors. No file is an empty one.
func readConfig(file string) (config, error) {
	var c config
	if file == "" {
		return c, nil
	}
	text, err := readLimited(file, maxConfig)
	if err != nil {
		return c, fmt.Errorf("read configuration: %w", err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("read configuration %s: %w", file, err)
	}
	return c, nil
}

// sinks opens what the configuration lists. Without one, messages go to
// standard output, so that a first try shows something.
func sinks(f *cli.Frame, c config) ([]outbox.Sink, map[string]store.SinkFilter, error) {
	if len(c.Sinks) == 0 {
		if err := yaml.Unmarshal([]byte("sinks: [{type: stdout}]"), &c); err != nil {
			return nil, nil, err
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	opened, filters, err := sink.Open(c.Section, sink.Options{
		ReadFile: func(file string) ([]byte, error) { return readLimited(file, maxSecret) },
		Getenv:   f.Getenv, Stdout: f.Stdout, Now: f.Now, Hostname: host, UserAgent: "hardstand-collector/" + f.Version,
	})
	if err != nil {
		return nil, nil, err
	}
	wants := map[string]store.SinkFilter{}
	for _, one := range filters {
		wants[one.Name] = one
	}
	var list []outbox.Sink
	for _, s := range opened {
		list = append(list, s)
	}
	return list, wants, nil
}
