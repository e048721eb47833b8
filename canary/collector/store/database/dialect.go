package database

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// dialect is what differs between the databases.
type dialect struct {
	name string
	// each turns the JSON array in parameter %d into rows with a column
	// j.value; fields of an array in it are (j.value->>0) and so on.
	each string
	// skipLocked lets several collectors claim at once.
	skipLocked string
	// lock keeps two collectors from migrating at once.
	lock string
	// shared: other collectors may write too.
	shared bool
}

var (
	sqlite   = dialect{name: "sqlite", each: "json_each($%d) AS j"}
	postgres = dialect{
		name: "postgres", each: "jsonb_array_elements(CAST($%d AS jsonb)) AS j(value)",
		skipLocked: " FOR UPDATE SKIP LOCKED", lock: "SELECT pg_advisory_xact_lock(7310859272563270242)", shared: true,
	}
)

func (d dialect) rows(parameter int) string { return fmt.Sprintf(d.each, parameter) }

func list(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // only strings and numbers
	}
	return string(text)
}

// parametersPerStatement is below the limits of both databases (32,766 and
// 65,535) and keeps statements few enough to be worth preparing.
const parametersPerStatement = 1024

// insert adds rows, several a statement. suffix may hold ON CONFLICT.
func (t *transaction) insert(ctx context.Context, table, columns, suffix string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	width := len(rows[0])
	most := max(1, parametersPerStatement/width)
	for len(rows) > 0 {
		n := 1 // powers of two, so that few different statements exist
		for 2*n <= min(most, len(rows)) {
			n *= 2
		}
		args := make([]any, 0, n*width)
		for _, row := range rows[:n] {
			args = append(args, row...)
		}
		statement := "INSERT INTO " + table + " (" + columns + ") VALUES " + values(n, width) + " " + suffix
		if _, err := t.ExecContext(ctx, statement, args...); err != nil {
			return fmt.Errorf("insert into %s: %w", table, err)
		}
		rows = rows[n:]
	}
	return nil
}

func values(n, width int) string {
	var b strings.Builder
	p := 1
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for j := range width {
			if j > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "$%d", p)
			p++
		}
		b.WriteByte(')')
	}
	return b.String()
}
