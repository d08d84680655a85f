"""How it looks: Streamlit's options, our own style sheet, and the colours of charts.

Blue, vermilion and amber stay apart for every common kind of colour blindness (the palette of Okabe and Ito), and no
colour says anything that a word beside it does not say too.
"""

from __future__ import annotations

from typing import Final

SATISFIED: Final = "#2a78b8"
VIOLATED: Final = "#d55e00"
UNDETERMINED: Final = "#e0a526"
NEUTRAL: Final = "#8a94a0"

OPTIONS: Final[dict[str, object]] = {
    "theme.primaryColor": "#1f6aa5",
    "theme.baseRadius": "4px",
    "theme.baseFontSize": 14,
    "theme.headingFontSizes": ["1.6rem", "1.2rem", "1.05rem", "1rem", "1rem", "1rem"],
    "theme.headingFontWeights": [600, 600, 600, 600, 600, 600],
    "theme.paddingTop": "1.2rem",
    "theme.paddingBottom": "3rem",
    "theme.linkUnderline": False,
    "theme.showWidgetBorder": True,
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f3f5f7",
    "theme.light.textColor": "#1c2733",
    "theme.light.linkColor": "#145a92",
    "theme.dark.backgroundColor": "#10161d",
    "theme.dark.secondaryBackgroundColor": "#1a222c",
    "theme.dark.textColor": "#e3e9ef",
    "theme.dark.linkColor": "#79b8ea",
    "theme.dark.primaryColor": "#4c9bd6",
}

# Greys are transparent, so that one sheet serves the light and the dark theme.
STYLE: Final = f"""<style>
[data-testid="stStatusWidget"] {{ display: none; }}
[data-testid="stMainBlockContainer"] {{ max-width: 1500px; }}
.on-lead {{ font-size: 1rem; margin: 0 0 .3rem; max-width: 75ch; }}
.on-pair {{ white-space: nowrap; }}
.on-note, .on-empty {{ opacity: .78; font-size: .9rem; margin: .1rem 0 .3rem; max-width: 110ch; }}
.on-empty {{ padding: .6rem 0; }}
.on-unknown {{ opacity: .65; font-style: italic; }}
.on-tiles {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: .6rem; }}
.on-tile {{ border: 1px solid rgba(128,140,152,.35); border-left: 4px solid rgba(128,140,152,.45); border-radius: 4px;
  padding: .55rem .8rem .6rem; min-height: 5.6rem; }}
.on-label {{ font-size: .82rem; opacity: .8; }}
.on-value {{ font-size: 1.75rem; font-weight: 600; line-height: 1.25; font-variant-numeric: tabular-nums; }}
.on-tile .on-note {{ font-size: .8rem; margin: 0; }}
.on-tone-good {{ border-left-color: {SATISFIED}; }}
.on-tone-bad {{ border-left-color: {VIOLATED}; }}
.on-tone-unsure, .on-tone-late {{ border-left-color: {UNDETERMINED}; }}
.on-scroll {{ overflow-x: auto; }}
.on-table {{ border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }}
.on-table th {{ text-align: left; font-weight: 600; font-size: .8rem; opacity: .8; padding: .3rem .6rem;
  border-bottom: 1px solid rgba(128,140,152,.55); vertical-align: bottom; }}
.on-table td {{ padding: .32rem .6rem; border-bottom: 1px solid rgba(128,140,152,.22); vertical-align: top; }}
.on-table .on-number {{ text-align: right; white-space: nowrap; }}
.on-table .on-wide {{ min-width: 15rem; }}
.on-table tr.on-group th {{ opacity: 1; font-size: .9rem; padding-top: .8rem; }}
.on-table small, .on-small {{ opacity: .75; font-size: .82rem; }}
.on-chip {{ display: inline-block; border-radius: 3px; padding: 0 .42rem; font-size: .78rem; font-weight: 600;
  line-height: 1.45; white-space: nowrap; background: rgba(128,140,152,.25); }}
.on-severity-critical {{ background: #8c1d18; color: #fff; }}
.on-severity-high {{ background: {VIOLATED}; color: #fff; }}
.on-severity-medium {{ background: {UNDETERMINED}; color: #221a00; }}
.on-severity-low {{ background: #9cc9ea; color: #0b2436; }}
.on-late {{ background: {UNDETERMINED}; color: #221a00; }}
.on-bar {{ display: flex; height: .8rem; min-width: 5rem; margin-top: .25rem; border-radius: 2px; overflow: hidden;
  gap: 1px; }}
.on-bar span {{ min-width: 2px; flex-basis: 0; }}
.on-bar-none {{ background: rgba(128,140,152,.18); }}
.on-satisfied {{ background: {SATISFIED}; }}
.on-violated {{ background: {VIOLATED}; }}
.on-undetermined {{ background: repeating-linear-gradient(45deg, {UNDETERMINED}, {UNDETERMINED} 4px, #f4d687 4px,
  #f4d687 7px); }}
.on-legend {{ display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; font-size: .85rem; margin: .2rem 0 .4rem; }}
.on-key {{ display: inline-block; width: .9rem; height: .7rem; margin-right: .35rem; border-radius: 2px; }}
.on-line {{ display: inline-block; width: 1.4rem; height: 0; border-top: 3px solid; margin: 0 .4rem .2rem 0; }}
.on-columns {{ display: flex; align-items: flex-end; gap: 1px; height: 7rem;
  border-bottom: 1px solid rgba(128,140,152,.55); }}
.on-columns i {{ flex: 1 1 0; min-height: 1px; background: {SATISFIED}; opacity: .85; }}
.on-axis {{ display: flex; justify-content: space-between; font-size: .8rem; opacity: .75; }}
.on-table a {{ color: inherit; font-weight: 600; text-underline-offset: 2px; }}
[data-testid="stPageLink"] a {{ background: none; }}
[class*="-lines"] [data-testid="stPageLink"] a {{ padding: 0; background: none; min-height: 0; }}
[class*="-lines"] [data-testid="stPageLink"] p {{ font-weight: 600; text-decoration: underline;
  text-underline-offset: 2px; }}
[class*="-lines"] [data-testid="stVerticalBlock"] {{ gap: .1rem; }}
[class*="-lines"] > [data-testid="stHorizontalBlock"], [class*="-lines"] > [data-testid="stLayoutWrapper"] {{
  border-bottom: 1px solid rgba(128,140,152,.22); padding: .3rem 0 .4rem; }}
.on-facts {{ display: grid; grid-template-columns: minmax(9rem, max-content) 1fr; gap: .2rem 1rem;
  margin: 0 !important; padding: 0 !important; font-size: .92rem; }}
.on-facts dt {{ opacity: .75; }}
.on-entry {{ border-bottom: 1px solid rgba(128,140,152,.25); padding: .35rem 0; }}
.on-entry summary {{ cursor: pointer; }}
.on-facts dd {{ margin: 0 !important; overflow-wrap: anywhere; }}
.on-notice {{ border: 1px solid rgba(128,140,152,.45); border-left: 4px solid {UNDETERMINED}; border-radius: 4px;
  padding: .8rem 1.1rem; max-width: 60rem; }}
.on-notice code, .on-note code, .on-table code {{ font-size: .88em; }}
</style>"""
