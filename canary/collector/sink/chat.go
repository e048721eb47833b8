package sink

import (
	"context"
	"strings"
	"time"

	"github.com/hardstand/hardstand/canary/collector/store"
)

// hook is a chat service that is reached by a secret address.
type hook struct {
	base
	url  Secret
	body func(store.Message) any
}

func (b base) hook(body func(store.Message) any) (Sink, error) {
	var s secretURL
	if err := b.decode(&s); err != nil {
		return nil, err
	}
	if err := b.need("url", s.URL); err != nil {
		return nil, err
	}
	if _, err := b.secretAddress(s.URL); err != nil {
		return nil, err
	}
	return &hook{b, s.URL, body}, nil
}

// Send posts the message.
func (h *hook) Send(ctx context.Context, m store.Message) error {
	address, err := h.secretAddress(h.url)
	if err != nil {
		return err
	}
	r, err := jsonRequest(address, nil, h.body(m))
	if err != nil {
		return err
	}
	_, err = h.web.do(ctx, r)
	return err
}

type object = map[string]any

// colour of a severity, RGB.
func colour(m store.Message) int {
	if m.Reason == store.ReasonResolved {
		return 0x2f855a
	}
	switch m.Incident.Severity {
	case store.Critical:
		return 0xb91c1c
	case store.High:
		return 0xc2410c
	case store.Medium:
		return 0xa16207
	case store.Low:
		return 0x1d4ed8
	}
	return 0x64748b
}

// openSlack posts to an incoming webhook
// (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
func openSlack(b base) (Sink, error) { return b.hook(slackBody) }

var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func slackBody(m store.Message) any {
	var columns []object
	for _, f := range fields(m) {
		if len(columns) == 10 { // the limit of a section
			break
		}
		columns = append(columns, object{"type": "plain_text", "emoji": false, "text": f.name + "\n" + f.value})
	}
	blocks := []object{
		{"type": "header", "text": object{"type": "plain_text", "emoji": false, "text": cut(headline(m), 150)}},
		{"type": "section", "fields": columns},
	}
	if m.Link != "" {
		blocks = append(blocks, object{"type": "actions", "elements": []object{{
			"type": "button", "url": m.Link, "action_id": "open", "text": object{"type": "plain_text", "text": "Open incident"},
		}}})
	}
	blocks = append(blocks, object{"type": "context", "elements": []object{{"type": "plain_text", "emoji": false, "text": "key " + m.Incident.DedupKey}}})
	return object{
		"text":        slackEscape.Replace(cut(headline(m), 1000)),
		"attachments": []object{{"color": hexColour(colour(m)), "blocks": blocks}},
	}
}

func hexColour(c int) string {
	const digits = "0123456789abcdef"
	out := []byte("#000000")
	for i := 6; i > 0; i-- {
		out[i] = digits[c&15]
		c >>= 4
	}
	return string(out)
}

// openTeams posts an Adaptive Card to a Workflows webhook
// (learn.microsoft.com/power-automate/teams/teams-app-create).
func openTeams(b base) (Sink, error) { return b.hook(teamsBody) }

// markdownEscape keeps an intruder's text from becoming links or mentions.
var markdownEscape = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`, "]", `\]`, "~", `\~`, "|", `\|`, ">", `\>`, "#", `\#`, "<", `\<`, "@", "@\u200b", "://", ":\u200b//")

func teamsBody(m store.Message) any {
	var facts []object
	for _, f := range fields(m) {
		facts = append(facts, object{"title": f.name, "value": markdownEscape.Replace(f.value)})
	}
	style := "attention"
	if m.Reason == store.ReasonResolved {
		style = "good"
	} else if m.Incident.Severity < store.High {
		style = "warning"
	}
	card := object{
		"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
		"msteams": object{"width": "Full"},
		"body": []object{
			{"type": "TextBlock", "text": markdownEscape.Replace(cut(headline(m), 500)), "weight": "Bolder", "size": "Medium", "wrap": true, "color": style},
			{"type": "FactSet", "facts": facts},
			{"type": "TextBlock", "text": "key " + m.Incident.DedupKey, "isSubtle": true, "size": "Small", "wrap": true},
		},
	}
	if m.Link != "" {
		card["actions"] = []object{{"type": "Action.OpenUrl", "title": "Open incident", "url": m.Link}}
	}
	return object{"type": "message", "attachments": []object{{
		"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": nil, "content": card,
	}}}
}

// openDiscord posts an embed (discord.com/developers/docs/resources/webhook).
func openDiscord(b base) (Sink, error) { return b.hook(discordBody) }

func discordBody(m store.Message) any {
	var rows []object
	for _, f := range fields(m) {
		rows = append(rows, object{"name": f.name, "value": cut(markdownEscape.Replace(f.value), 1024), "inline": len(f.value) < 40})
	}
	embed := object{
		"title": cut(markdownEscape.Replace(headline(m)), 256), "color": colour(m),
		"fields": rows, "footer": object{"text": cut("key "+m.Incident.DedupKey, 2048)},
	}
	if m.Link != "" {
		embed["url"] = m.Link
	}
	if !m.Incident.Last.IsZero() {
		embed["timestamp"] = m.Incident.Last.UTC().Format(time.RFC3339)
	}
	return object{"username": "hardstand", "embeds": []object{embed}, "allowed_mentions": object{"parse": []string{}}}
}
