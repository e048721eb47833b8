package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
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
	// plainMarks: parameters of long statements are "?"; SQLite looks up each
	// named one among all names.
	plainMarks bool
	// columnwise: rows are inserted as one array a column, in one statement of
	// few parameters, which costs the server a fraction of long lists of values.
	columnwise bool
	// shared: other collectors may write too.
	shared bool
}

var (
	sqlite   = dialect{name: "sqlite", each: "json_each($%d) AS j", plainMarks: true}
	postgres = dialect{
		name: "postgres", each: "jsonb_array_elements(CAST($%d AS jsonb)) AS j(value)",
		skipLocked: " FOR UPDATE SKIP LOCKED", lock: "SELECT pg_advisory_xact_lock(7310859272563270242)", columnwise: true, shared: true,
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
	if t.dialect.columnwise {
		return t.insertColumns(ctx, table, columns, suffix, rows)
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
		statement := "INSERT INTO " + table + " (" + columns + ") VALUES " + t.dialect.values(n, width) + " " + suffix
		if err := t.run(ctx, statement, args); err != nil {
			return fmt.Errorf("insert into %s: %w", table, err)
		}
		rows = rows[n:]
	}
	return nil
}

// insertColumns adds rows with one statement. Columns are texts or numbers,
// and a column's first value says which.
func (t *transaction) insertColumns(ctx context.Context, table, columns, suffix string, rows [][]any) error {
	args := make([]any, len(rows[0]))
	types := make([]string, len(args))
	for c := range args {
		if _, isText := rows[0][c].(string); isText {
			args[c], types[c] = column(rows, c, func(v any) string { return v.(string) }), "text[]"
		} else {
			args[c], types[c] = column(rows, c, integer), "bigint[]"
		}
		types[c] = fmt.Sprintf("$%d::%s", c+1, types[c])
	}
	statement := "INSERT INTO " + table + " (" + columns + ") SELECT * FROM unnest(" + strings.Join(types, ", ") + ") " + suffix
	if _, err := t.ExecContext(ctx, statement, args...); err != nil {
		return fmt.Errorf("insert into %s: %w", table, err)
	}
	return nil
}

func column[T any](rows [][]any, c int, value func(any) T) []T {
	out := make([]T, len(rows))
	for i, row := range rows {
		out[i] = value(row[c])
	}
	return out
}

func integer(v any) int64 {
	if n, isInt := v.(int); isInt {
		return int64(n)
	}
	return v.(int64)
}

func (d dialect) values(n, width int) string {
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
			if d.plainMarks {
				b.WriteByte('?')
			} else {
				fmt.Fprintf(&b, "$%d", p)
				p++
			}
		}
		b.WriteByte(')')
	}
	return b.String()
}

// run executes a statement that comes again and again. SQLite parses it once:
// it is prepared after the first transaction that used it, because the one
// connection that writes is taken until then.
func (t *transaction) run(ctx context.Context, statement string, args []any) error {
	if t.prepared == nil {
		_, err := t.ExecContext(ctx, statement, args...)
		return err
	}
	if known := t.prepared.get(statement); known != nil {
		_, err := t.StmtContext(ctx, known).ExecContext(ctx, args...)
		return err
	}
	t.wanted = append(t.wanted, statement)
	_, err := t.ExecContext(ctx, statement, args...)
	return err
}

// statements are prepared ones by their text.
type statements struct {
	mu    sync.Mutex
	known map[string]*sql.Stmt
}

const maxPrepared = 256

func (s *statements) get(text string) *sql.Stmt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[text]
}

// prepare is a matter of speed only, so that it fails is no error. It waits
// for the connection, whose holder may ask get: no lock is held meanwhile.
func (s *statements) prepare(ctx context.Context, db *sql.DB, wanted []string) {
	for _, text := range wanted {
		if s.get(text) != nil {
			continue
		}
		stmt, err := db.PrepareContext(ctx, text)
		if err != nil {
			continue
		}
		s.mu.Lock()
		if s.known[text] == nil && len(s.known) < maxPrepared {
			s.known[text], stmt = stmt, nil
		}
		s.mu.Unlock()
		if stmt != nil {
			_ = stmt.Close() // another was faster
		}
	}
}

func (s *statements) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for text, stmt := range s.known {
		_ = stmt.Close() // the database is closed next
		delete(s.known, text)
	}
}
