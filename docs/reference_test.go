// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// The pages of docs/reference that this file writes from what they are about.
const (
	apiPage     = "reference/api.md"
	reasonsPage = "reference/reasons.md"
	metricsPage = "reference/metrics.md"
)

// generated holds a page to what it is made from. `make generate` sets UPDATE_DOCS and so writes it.
func generated(t *testing.T, page, want string) {
	t.Helper()
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if read(t, page) != want {
		t.Errorf("docs/%s is not what it is made from; run make generate", page)
	}
}

// object is a part of the definition.
type object = map[string]any

func TestTheReferenceOfTheAPIIsTheDefinition(t *testing.T) {
	var page strings.Builder
	page.WriteString(
		"# The fields of the API\n\nWritten by `make generate` from the definitions. `[]` stands for an element of a list, `{}` for a value by name.\n" +
			"What is to be known of the spec of a RedisHA at a glance is in [spec.md](spec.md).\n",
	)
	for _, kind := range []string{"redishas", "redisharequests"} {
		definition := object{}
		if err := yaml.Unmarshal(
			[]byte(read(t, filepath.Join(root, "config/crd/bases/redisha.io_"+kind+".yaml"))), &definition,
		); err != nil {
			t.Fatal(err)
		}
		spec := definition["spec"].(object)
		version, _ := spec["versions"].([]any)[0].(object)
		schema, _ := version["schema"].(object)["openAPIV3Schema"].(object)["properties"].(object)
		fmt.Fprintf(&page, "\n## %s, %s\n", spec["names"].(object)["kind"], version["name"])
		for _, part := range []string{"spec", "status"} {
			page.WriteString("\n### " + part + "\n\n| field | type | default | what |\n|---|---|---|---|\n")
			fieldRows(&page, "", schema[part].(object))
		}
	}
	generated(t, apiPage, page.String())
}

// fieldRows has a row for each field of an object, and for each of theirs. Fields of Kubernetes' own types have no
// description in the definition, and no row.
func fieldRows(page *strings.Builder, path string, schema object) {
	properties, _ := schema["properties"].(object)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		field := properties[name].(object)
		what, told := field["description"].(string)
		if !told {
			continue
		}
		at := strings.TrimPrefix(path+"."+name, ".")
		standard := ""
		if value, has := field["default"]; has && fmt.Sprint(value) != "map[]" {
			if number, is := value.(float64); is {
				value = strconv.FormatFloat(number, 'f', -1, 64)
			}
			standard = "`" + fmt.Sprint(value) + "`"
		}
		fmt.Fprintf(page, "| `%s` | %s | %s | %s |\n", at, typeOf(field), standard, cell(what))
		fieldRows(page, at, field)
		if items, is := field["items"].(object); is {
			fieldRows(page, at+"[]", items)
		}
		if values, is := field["additionalProperties"].(object); is {
			fieldRows(page, at+"{}", values)
		}
	}
}

// typeOf is the type of a field, with the values that it may have.
func typeOf(field object) string {
	if values, closed := field["enum"].([]any); closed {
		var all []string
		for _, value := range values {
			all = append(all, fmt.Sprint(value))
		}
		return strings.Join(all, ", ")
	}
	if either, _ := field["x-kubernetes-int-or-string"].(bool); either {
		return "integer or string"
	}
	kind, _ := field["type"].(string)
	if items, is := field["items"].(object); is {
		return "list of " + fmt.Sprint(items["type"])
	}
	return kind
}

// cell is text in a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("\n", " ", "|", "\\|").Replace(strings.TrimSpace(text))
}

func TestTheReferenceOfReasonsIsTheCode(t *testing.T) {
	var page strings.Builder
	page.WriteString(
		"# Conditions, reasons and Events by name\n\nWritten by `make generate` from api/v1alpha1. What to do about each is in " +
			"[conditions.md](../conditions.md).\n",
	)
	for _, name := range []string{"conditions.go", "events.go"} {
		file, err := parser.ParseFile(
			token.NewFileSet(), filepath.Join(root, "api/v1alpha1", name), nil, parser.ParseComments,
		)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			if group, is := declaration.(*ast.GenDecl); is && group.Tok == token.CONST {
				constantRows(t, &page, group)
			}
		}
	}
	generated(t, reasonsPage, page.String())
}

// constantRows has a table for a group of constants: each is explained, and called what its value is.
func constantRows(t *testing.T, page *strings.Builder, group *ast.GenDecl) {
	t.Helper()
	page.WriteString(
		"\n" + strings.ReplaceAll(strings.TrimSpace(group.Doc.Text()), "\n", " ") + "\n\n| name | what |\n|---|---|\n",
	)
	for _, spec := range group.Specs {
		constant := spec.(*ast.ValueSpec)
		name := constant.Names[0].Name
		value, err := strconv.Unquote(constant.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		what, explained := strings.CutPrefix(constant.Doc.Text(), name+": ")
		if !explained || !strings.HasSuffix(name, value) {
			t.Errorf("%s = %q: its comment begins with its name and a colon, and its name ends with its value", name, value)
		}
		fmt.Fprintf(page, "| %s | %s |\n", value, strings.TrimSuffix(cell(what), "."))
	}
}

func TestTheReferenceOfMetricsIsTheCode(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "controllers/failover/metrics.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, is := n.(*ast.CallExpr)
		if !is || len(call.Args) != 2 {
			return true
		}
		options, is := call.Args[0].(*ast.CompositeLit)
		labels, are := call.Args[1].(*ast.CompositeLit)
		if !is || !are {
			return true
		}
		kind := strings.ToLower(strings.TrimSuffix(options.Type.(*ast.SelectorExpr).Sel.Name, "Opts"))
		said := map[string]string{}
		for _, element := range options.Elts {
			pair := element.(*ast.KeyValueExpr)
			if text, is := literal(pair.Value); is {
				said[pair.Key.(*ast.Ident).Name] = text
			}
		}
		var names []string
		for _, label := range labels.Elts {
			text, _ := literal(label)
			names = append(names, text)
		}
		rows = append(
			rows,
			fmt.Sprintf("| `%s` | %s | %s | %s |\n", said["Name"], kind, strings.Join(names, ", "), cell(said["Help"])),
		)
		return false
	})
	if len(rows) < 5 {
		t.Fatalf("only %d metrics", len(rows))
	}
	slices.Sort(rows)
	generated(
		t,
		metricsPage,
		"# Metrics\n\nWritten by `make generate`. On the operator's metrics endpoint (`--metrics-bind-address`), beside controller-runtime's own.\n\n"+
			"| metric | kind | labels | what |\n|---|---|---|---|\n"+strings.Join(
			rows,
			"",
		),
	)
}
