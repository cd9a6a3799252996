package layers

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// What a reader can take in at one sitting.
const (
	maxFileLines  = 400
	maxFuncLines  = 60
	maxParameters = 5

	// A system call's parameters are Linux's business: the task and six registers.
	maxSyscallParameters = 7
)

// TestSizes measures files and functions. What is over is debt: a line of
// debt.txt with its reason; a line that is no longer needed fails too.
func TestSizes(t *testing.T) {
	debt := readDebt(t)
	used := map[string]bool{}
	over := func(what, kind string, n, limit int) {
		key := what + " " + kind
		used[key] = true
		if n > limit && n > debt[key] {
			t.Errorf("%s: %d %s, the limit is %d", what, n, kind, max(limit, debt[key]))
		}
		if debt[key] != 0 && n <= limit {
			t.Errorf("debt.txt: %s is paid (%d)", key, n)
		}
	}
	for _, p := range list(t) {
		for _, name := range p.GoFiles {
			file := filepath.Join(p.Dir, name)
			short := p.short() + "/" + name
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if !isTable(f, fset) {
				over(short, "lines", fset.File(f.Pos()).LineCount(), maxFileLines)
			}
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
					lines := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
					over(short+":"+funcName(fn), "func-lines", lines, maxFuncLines)
					parameters := maxParameters
					if p.short() == "syscalls" {
						parameters = maxSyscallParameters
					}
					over(short+":"+funcName(fn), "parameters", fn.Type.Params.NumFields(), parameters)
				}
			}
			for _, imp := range f.Imports {
				if imp.Path.Value == `"unsafe"` && !strings.HasSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_amd64.go"), ".go"), "_unsafe") {
					t.Errorf("%s imports unsafe; only *_unsafe.go may", short)
				}
			}
		}
	}
	for key := range debt {
		if !used[key] {
			t.Errorf("debt.txt: %s does not exist", key)
		}
	}
}

// isTable reports whether f is nine tenths constants, types and tables, which
// are looked up, not read.
func isTable(f *ast.File, fset *token.FileSet) bool {
	code := 0
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			code += fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
		}
	}
	return code*10 < fset.File(f.Pos()).LineCount()
}

func funcName(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	x := fn.Recv.List[0].Type
	for {
		switch y := x.(type) {
		case *ast.StarExpr:
			x = y.X
			continue
		case *ast.IndexExpr:
			x = y.X
			continue
		case *ast.IndexListExpr:
			x = y.X
			continue
		case *ast.Ident:
			return y.Name + "." + fn.Name.Name
		}
		return fmt.Sprint(fn.Name.Name)
	}
}

// readDebt reads lines of "file[:func] kind n reason".
func readDebt(t *testing.T) map[string]int {
	t.Helper()
	f, err := os.Open("debt.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	debt := map[string]int{}
	for s := bufio.NewScanner(f); s.Scan(); {
		w := strings.Fields(s.Text())
		if len(w) == 0 || strings.HasPrefix(w[0], "#") {
			continue
		}
		n := 0
		if len(w) > 2 {
			n, err = strconv.Atoi(w[2])
		}
		if len(w) < 4 || err != nil {
			t.Fatalf("debt.txt: %q: want file[:func] kind n reason", s.Text())
		}
		debt[w[0]+" "+w[1]] = n
	}
	return debt
}
