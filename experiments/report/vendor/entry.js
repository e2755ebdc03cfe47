// The parts of Apache ECharts that the report needs; README.md says how echarts.min.js is made of them.
import { use } from "echarts/core";
import { ParallelChart } from "echarts/charts";
import { ParallelComponent, TooltipComponent, VisualMapComponent } from "echarts/components";
import { SVGRenderer } from "echarts/renderers";

export { init } from "echarts/core";
use([ParallelChart, ParallelComponent, TooltipComponent, VisualMapComponent, SVGRenderer]);
