package sink

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hardstand/hardstand/canary/collector/store"
	"gopkg.in/yaml.v3"
)

// Section is the part of the collector's configuration about sinks:
//
//	allow-networks: [10.1.2.0/24]
//	sinks:
//	- name: oncall
//	  type: pagerduty
//	  min: high
//	  routing-key: {file: /run/secrets/pagerduty}
type Section struct {
	// AllowNetworks are networks inside the house that sinks may stand in.
	AllowNetworks []string `yaml:"allow-networks"`
	Sinks         []Config `yaml:"sinks"`
}

// Config is one entry. What a type asks for beside these is kept as it was
// written and read by Open.
type Config struct {
	Name    string // as on the dashboard; the type where empty
	Type    string
	Min     store.Severity // told of this and worse
	Route   string         // only of incidents with this route
	Timeout time.Duration  // of one attempt; 10 s where 0

	node *yaml.Node
}

// UnmarshalYAML reads an entry.
func (c *Config) UnmarshalYAML(n *yaml.Node) error {
	var common struct {
		Name    string        `yaml:"name"`
		Type    string        `yaml:"type"`
		Min     string        `yaml:"min"`
		Route   string        `yaml:"route"`
		Timeout time.Duration `yaml:"timeout"`
	}
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: a sink is a mapping with type", n.Line)
	}
	if err := n.Decode(&common); err != nil {
		return err
	}
	*c = Config{Name: cmp.Or(common.Name, common.Type), Type: common.Type, Route: common.Route, Timeout: common.Timeout, node: rest(n)}
	if _, known := types[c.Type]; !known {
		return fmt.Errorf("line %d: sink type %q is unknown; there are %s", n.Line, c.Type, strings.Join(Types(), ", "))
	}
	if !plainName.MatchString(c.Name) {
		return fmt.Errorf("line %d: sink name %q: use up to 64 of a-z, A-Z, 0-9, . _ -", n.Line, c.Name)
	}
	if c.Timeout < 0 || c.Timeout > time.Minute {
		return fmt.Errorf("line %d: timeout %v is not between 0 and 1m", n.Line, c.Timeout)
	}
	if common.Min != "" {
		severity, ok := store.ParseSeverity(common.Min)
		if !ok {
			return fmt.Errorf("line %d: min %q is no severity; there are info, low, medium, high, critical", n.Line, common.Min)
		}
		c.Min = severity
	}
	return nil
}

var plainName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$`)

// rest is an entry without the keys that all types share, so that what remains
// can be decoded strictly.
func rest(n *yaml.Node) *yaml.Node {
	out := *n
	out.Content = nil
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !slices.Contains([]string{"name", "type", "min", "route", "timeout"}, n.Content[i].Value) {
			out.Content = append(out.Content, n.Content[i], n.Content[i+1])
		}
	}
	return &out
}

// decode reads what a type asks for; unknown keys are errors.
func (c Config) decode(into any) error {
	if c.node == nil {
		return nil
	}
	text, err := yaml.Marshal(c.node)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("line %d: %s", c.node.Line, unknownKey.ReplaceAllString(err.Error(), "$1 is not a setting of this type"))
	}
	return nil
}

var unknownKey = regexp.MustCompile(`(?s).*field (\S+) not found in type.*`)

// Options are what sinks take from their surroundings.
type Options struct {
	// ReadFile and Getenv resolve references to secrets.
	ReadFile func(string) ([]byte, error)
	Getenv   func(string) string
	Stdout   io.Writer        // of the type stdout
	Now      func() time.Time // time.Now where nil
	Hostname string           // in syslog and falcosidekick messages
	// UserAgent of requests; "hardstand-collector" where empty.
	UserAgent string
	TLS       *tls.Config // roots and the like; may be nil
}

// Open makes the sinks of a section and says what each wants.
func Open(s Section, o Options) ([]Sink, []store.SinkFilter, error) {
	o = o.filled()
	var g guard
	for _, text := range s.AllowNetworks {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, nil, fmt.Errorf("read allow-networks: %q is no network such as 10.1.2.0/24", text)
		}
		g.allowed = append(g.allowed, p.Masked())
	}
	var sinks []Sink
	var filters []store.SinkFilter
	seen := map[string]bool{}
	for _, c := range s.Sinks {
		if seen[c.Name] {
			return nil, nil, fmt.Errorf("open sink %s: the name is used twice; give one of them another name", c.Name)
		}
		seen[c.Name] = true
		if c.Timeout == 0 {
			c.Timeout = 10 * time.Second
		}
		sink, err := types[c.Type](base{Config: c, guard: g, web: newWeb(g, c.Timeout, o), Options: o})
		if err != nil {
			return nil, nil, fmt.Errorf("open sink %s: %w", c.Name, err)
		}
		sinks = append(sinks, sink)
		filters = append(filters, store.SinkFilter{Name: c.Name, Min: c.Min, Route: c.Route})
	}
	return sinks, filters, nil
}

func (o Options) filled() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	if o.TLS == nil {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.ReadFile == nil {
		o.ReadFile = func(string) ([]byte, error) { return nil, errors.New("files cannot be read here") }
	}
	o.UserAgent = cmp.Or(o.UserAgent, "hardstand-collector")
	o.Hostname = cmp.Or(o.Hostname, "collector")
	return o
}

// base is what every sink has.
type base struct {
	Config
	Options
	guard guard
	web   *web
}

// Name of the sink.
func (b base) Name() string { return b.Config.Name }

// types maps a type's name to what makes one. Filled in by init, because
// Config's methods read it.
var types map[string]func(base) (Sink, error)

func init() {
	types = map[string]func(base) (Sink, error){
		"alertmanager":  openAlertmanager,
		"cloudevents":   openCloudEvents,
		"discord":       openDiscord,
		"email":         openEmail,
		"falcosidekick": openFalcosidekick,
		"opsgenie":      openOpsgenie,
		"otlp":          openOTLP,
		"pagerduty":     openPagerDuty,
		"securityhub":   openSecurityHub,
		"slack":         openSlack,
		"sns":           openSNS,
		"stdout":        openStdout,
		"syslog":        openSyslog,
		"teams":         openTeams,
		"webhook":       openWebhook,
	}
}

// Types returns the names of all types.
func Types() []string {
	names := make([]string, 0, len(types))
	for name := range types {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Secret is a reference to a value that must not stand in a configuration
// file: {file: PATH} or {env: NAME}. It prints as the reference.
type Secret struct {
	File string `yaml:"file"`
	Env  string `yaml:"env"`
}

const maxSecret = 16 << 10 // bytes

// UnmarshalYAML refuses the value itself.
func (s *Secret) UnmarshalYAML(n *yaml.Node) error {
	type plain Secret
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: a secret is not written here; use {file: PATH} or {env: NAME}", n.Line)
	}
	if err := n.Decode((*plain)(s)); err != nil {
		return err
	}
	if (s.File == "") == (s.Env == "") {
		return fmt.Errorf("line %d: a secret is {file: PATH} or {env: NAME}", n.Line)
	}
	return nil
}

// IsZero says that nothing is referred to.
func (s Secret) IsZero() bool { return s == Secret{} }

// Secret reads the value. A file is read at each use, so that it can be
// replaced while the collector runs.
func (o Options) Secret(s Secret) (string, error) {
	if s.Env != "" {
		if v := o.Getenv(s.Env); v != "" {
			return v, nil
		}
		return "", fmt.Errorf("read secret: the environment variable %s is empty", s.Env)
	}
	text, err := o.ReadFile(s.File)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	if len(text) > maxSecret {
		return "", fmt.Errorf("read secret: %s has %d bytes, the limit is %d", s.File, len(text), maxSecret)
	}
	v := strings.TrimRight(string(text), "\r\n")
	if v == "" {
		return "", fmt.Errorf("read secret: %s is empty", s.File)
	}
	return v, nil
}

// need reads a secret when the sink is opened, so that a mistake shows then.
func (o Options) need(name string, s Secret) error {
	if s.IsZero() {
		return fmt.Errorf("%s is missing; use {file: PATH} or {env: NAME}", name)
	}
	if _, err := o.Secret(s); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// address checks where a sink sends to, without repeating it in full: it may
// be a secret.
func address(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return "", errors.New("url is not an https or http address")
	}
	if u.User != nil {
		return "", errors.New("url holds a user; use the setting for it")
	}
	return text, nil
}

// secretURL is the setting of services whose address is their password.
type secretURL struct {
	URL Secret `yaml:"url"`
}

func (o Options) secretAddress(s Secret) (string, error) {
	text, err := o.Secret(s)
	if err != nil {
		return "", err
	}
	text, err = address(strings.TrimSpace(text))
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	return text, nil
}
