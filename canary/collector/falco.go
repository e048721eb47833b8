package collector

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/hardstand/hardstand/canary/collector/noise"
	"github.com/hardstand/hardstand/canary/collector/store"
)

// falcoAlert is Falco's JSON output (falco.yaml json_output), which
// falcosidekick passes on.
type falcoAlert struct {
	UUID     string         `json:"uuid"`
	Output   string         `json:"output"`
	Priority string         `json:"priority"`
	Rule     string         `json:"rule"`
	Time     time.Time      `json:"time"`
	Fields   map[string]any `json:"output_fields"`
	Source   string         `json:"source"`
	Hostname string         `json:"hostname"`
	Tags     []string       `json:"tags"`
}

const maxFalcoAlerts = 1000 // of one request

// ParseFalco reads one alert, several in an array, or one a line.
func ParseFalco(body []byte, now time.Time) ([]store.Arrival, error) {
	trimmed := bytes.TrimSpace(body)
	var pieces []json.RawMessage
	if len(trimmed) > 0 && trimmed[0] == '[' {
		if err := json.Unmarshal(trimmed, &pieces); err != nil {
			return nil, Malformed
		}
	} else {
		for d := json.NewDecoder(bytes.NewReader(trimmed)); d.More() && len(pieces) <= maxFalcoAlerts; {
			var piece json.RawMessage
			if d.Decode(&piece) != nil {
				return nil, Malformed
			}
			pieces = append(pieces, piece)
		}
	}
	if len(pieces) == 0 || len(pieces) > maxFalcoAlerts {
		return nil, Malformed
	}
	var found []store.Arrival
	for _, piece := range pieces {
		var f falcoAlert
		if json.Unmarshal(piece, &f) != nil || f.Rule == "" {
			return nil, Malformed
		}
		found = append(found, f.arrival(piece, now))
	}
	return found, nil
}

func (f falcoAlert) arrival(raw []byte, now time.Time) store.Arrival {
	facts := map[string]string{"priority": noise.Clean(f.Priority, maxFactName), "output": noise.Clean(f.Output, maxFact)}
	for _, name := range [...]string{"container.id", "container.name", "container.image.repository", "k8s.ns.name", "k8s.pod.name",
		"proc.name", "proc.exepath", "proc.cmdline", "proc.pname", "user.name", "fd.name", "fd.sip", "evt.type"} {
		if v, found := f.Fields[name]; found && v != nil {
			facts[name] = noise.Clean(fmt.Sprint(v), maxFact)
		}
	}
	if f.Hostname != "" {
		facts["hostname"] = noise.Clean(f.Hostname, maxFactName)
	}
	at := f.Time
	if at.IsZero() || at.After(now.Add(day)) || now.Sub(at) > 366*day {
		at = now
	}
	nonce := noise.Clean(f.UUID, maxNonce)
	if nonce == "" { // Falco itself sends none: the same text is the same alert
		sum := sha256.Sum256(raw)
		nonce = hex.EncodeToString(sum[:16])
	}
	return store.Arrival{Alarm: store.Alarm{
		Kind: store.KindRule, Channel: store.ChannelFalco, Decoy: noise.Clean(f.Rule, maxFactName), Nonce: nonce, Proof: store.ProofNone,
		Timing: store.OnTime, Source: noise.Clean(f.Hostname, maxFactName), At: at, Received: now, Facts: facts,
	}}
}

func (c *Collector) takeFalco(r *http.Request, body []byte) error {
	found, err := ParseFalco(body, c.now())
	if err != nil {
		c.metrics.reject(store.ChannelFalco, err)
		return err
	}
	for _, a := range found {
		c.metrics.receive(store.ChannelFalco)
		if _, err := c.take(r.Context(), a); err != nil {
			return err
		}
	}
	return nil
}
