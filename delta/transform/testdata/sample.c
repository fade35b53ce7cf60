/* What make.sh compiles. It calls, branches, points and switches enough to reach every rewriting. */
struct node { struct node *next; const char *name; int (*run)(struct node *, int); long spare[4]; };
extern void outside(const char *, ...);
static int calls;
static long table[64];

__attribute__((noinline)) static int small(struct node *n, int v) { calls++; return v + (int)n->spare[1]; }
__attribute__((noinline)) static int middle(struct node *n, int v)
{
	switch (v & 15) {
	case 0: outside("nothing"); return small(n, 1);
	case 1: outside("something %d", v); return small(n, 2);
	case 2: table[v & 63] += 3; return 4;
	case 3: table[3]--; return small(n->next, v);
	case 4: outside("nothing"); return 9;
	case 5: return (int)table[v & 7];
	case 6: calls = 12; return 11;
	case 7: outside("seven"); break;
	}
	return middle(n->next, v >> 4);
}
static int large(struct node *n, int v)
{
	for (int i = 0; i < v; i++)
		if (n->run(n, i) > (int)table[i & 63])
			outside("%s: %d of %d", n->name, i, v), table[i & 63] = middle(n, i);
	return calls;
}
struct node nodes[] = {
	{ nodes + 1, "first", small, {0} }, { nodes + 2, "second", middle, {0} }, { nodes, "third", large, {0} },
};
int walk(int v) { int sum = 0; for (int i = 0; i < 3; i++) sum += nodes[i].run(nodes + i, v) + large(nodes + i, v); return sum; }
#ifdef PROGRAM
void outside(const char *s, ...) { calls += s[0]; }
void _start(void) { walk(calls); for (;;); }
#endif
